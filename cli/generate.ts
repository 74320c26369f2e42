// npm run prepare (part of npm ci): Prisma clients and resolver types, where their sources changed.
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

/** Resolver types are types only: an installation without development packages runs without them. */
function isMissingCodegen(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ERR_MODULE_NOT_FOUND' && message.includes('@graphql-codegen')
}

try {
  const [clients, types] = await Promise.all([
    generateClients(),
    generateResolverTypes().catch((error) => {
      if (isMissingCodegen(error)) return []
      throw error
    }),
  ])
  if (clients.length > 0) console.log(`generated Prisma clients: ${clients.join(', ')}`)
  if (types.length > 0) console.log(`generated resolver types: ${types.join(', ')}`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
