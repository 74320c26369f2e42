import { defineConfig } from 'prisma/config'

// One configuration for four tiers. `npm exec tsx cli/prisma.ts --tier oltp …` sets PRISMA_TIER and the addresses.
const tier = process.env.PRISMA_TIER
const url = process.env.PRISMA_DATABASE_URL
const shadowDatabaseUrl = process.env.PRISMA_SHADOW_DATABASE_URL

export default defineConfig(
  tier
    ? {
        schema: `prisma/${tier}/schema.prisma`,
        migrations: { path: `prisma/${tier}/migrations` },
        ...(url && { datasource: { url, ...(shadowDatabaseUrl && { shadowDatabaseUrl }) } }),
      }
    : {},
)
