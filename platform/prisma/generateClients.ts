import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { makeIfStale, PROJECT_ROOT } from './freshness.ts'
import { prismaCli, prismaEnvironment } from './schemaEngine.ts'

const run = promisify(execFile)

/**
 * Generates the Prisma clients whose schema or Prisma version changed, side by side. Returns the tiers it generated.
 * @throws Error with Prisma's own words when a schema is wrong
 */
export async function generateClients(): Promise<Tier[]> {
  const { version } = createRequire(import.meta.url)('prisma/package.json') as { version: string }
  const made = await Promise.all(
    TIERS.map((tier) =>
      makeIfStale({
        name: `prisma-${tier}`,
        inputs: [version, new URL(`prisma/${tier}/schema.prisma`, PROJECT_ROOT)],
        output: new URL(`generated/prisma/${tier}/client.ts`, PROJECT_ROOT),
        make: () => generateClient(tier),
      }),
    ),
  )
  return TIERS.filter((_, index) => made[index])
}

async function generateClient(tier: Tier): Promise<void> {
  try {
    await run(process.execPath, [prismaCli(), 'generate', '--schema', `prisma/${tier}/schema.prisma`, '--no-hints'], {
      cwd: fileURLToPath(PROJECT_ROOT),
      env: { ...prismaEnvironment(), PRISMA_TIER: tier },
    })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`prisma generate failed for ${tier}:\n${stderr}${stdout}`.trimEnd(), { cause: error })
  }
}
