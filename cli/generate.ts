// npm run prepare (part of npm ci): Prisma clients, resolver types and the explorer's page, where their sources changed.
import { existsSync } from 'node:fs'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { makeIfStale, PROJECT_ROOT } from '#platform/prisma/freshness.ts'
import { generateClients } from '#platform/prisma/generateClients.ts'

async function generateResolverTypes(): Promise<Tier[]> {
  const withSchema = TIERS.filter((tier) => existsSync(new URL(`subgraphs/${tier}/schema.graphql`, PROJECT_ROOT)))
  const made = await Promise.all(
    withSchema.map((tier) =>
      makeIfStale({
        name: `graphql-${tier}`,
        inputs: [
          new URL('platform/graph/codegen.ts', PROJECT_ROOT),
          new URL(`subgraphs/${tier}/schema.graphql`, PROJECT_ROOT),
          new URL(`subgraphs/${tier}/mappers.json`, PROJECT_ROOT),
        ],
        output: new URL(`generated/graphql/${tier}.ts`, PROJECT_ROOT),
        make: async () => {
          const { generateGraphqlTypes } = await import('#platform/graph/codegen.ts')
          await generateGraphqlTypes(tier)
        },
      }),
    ),
  )
  return withSchema.filter((_, index) => made[index])
}

/** The explorer's page: where GraphiQL is installed, which an installation without development packages does without. */
async function makeExplorer(): Promise<boolean> {
  if (!existsSync(new URL('node_modules/graphiql/', PROJECT_ROOT))) return false
  const { bundleExplorer, EXPLORER_FOLDER } = await import('../gateway/explorer/bundle.ts')
  return makeIfStale({
    name: 'explorer',
    inputs: [
      ...['bundle.ts', 'browser/main.ts', 'browser/index.html'].map(
        (file) => new URL(`gateway/explorer/${file}`, PROJECT_ROOT),
      ),
      ...['graphiql', '@graphiql/react', 'monaco-editor', 'monaco-graphql', 'react-dom'].map(
        (name) => new URL(`node_modules/${name}/package.json`, PROJECT_ROOT),
      ),
    ],
    output: new URL('index.html', EXPLORER_FOLDER),
    make: bundleExplorer,
  })
}

/** Resolver types are types only: an installation without development packages runs without them. */
function isMissingCodegen(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ERR_MODULE_NOT_FOUND' && message.includes('@graphql-codegen')
}

try {
  const [clients, types, explorer] = await Promise.all([
    generateClients(),
    generateResolverTypes().catch((error) => {
      if (isMissingCodegen(error)) return []
      throw error
    }),
    makeExplorer(),
  ])
  if (clients.length > 0) console.log(`generated Prisma clients: ${clients.join(', ')}`)
  if (types.length > 0) console.log(`generated resolver types: ${types.join(', ')}`)
  if (explorer) console.log("bundled the explorer's page")
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
