// npm exec tsx cli/prisma.ts -- --tier oltp migrate status: Prisma's own command line, ready to run against one tier.
import { spawn } from 'node:child_process'
import { StartProblem } from '#platform/local/startProblem.ts'
import { findLocalAdminUrl, ownerDatabaseUrl } from '#platform/prisma/ownerDatabase.ts'
import { prismaCli, prismaEnvironment } from '#platform/prisma/schemaEngine.ts'
import { withShadowDatabase } from '#platform/prisma/shadowDatabase.ts'
import { parseTier } from './tierArgument.ts'

const args = process.argv.slice(2)
const flag = args.indexOf('--tier')
const [, tierName = ''] = flag < 0 ? [] : args.splice(flag, 2)

try {
  process.exitCode = flag < 0 ? await runPrisma({}) : await runForTier(tierName)
} catch (error) {
  console.error(error instanceof StartProblem ? error.message : error)
  process.exitCode = 1
}

async function runForTier(name: string): Promise<number> {
  const tier = parseTier(name)
  const needsDatabase = ['migrate', 'db', 'studio'].includes(args[0] ?? '')
  if (!needsDatabase) return await runPrisma({ PRISMA_TIER: tier })
  const ownerUrl = ownerDatabaseUrl(tier)
  const settings = { PRISMA_TIER: tier, PRISMA_DATABASE_URL: ownerUrl }
  const given = process.env[`${tier.toUpperCase()}_SHADOW_DATABASE_URL`]
  const adminUrl = findLocalAdminUrl()
  if (given) return await runPrisma({ ...settings, PRISMA_SHADOW_DATABASE_URL: given })
  if (!(args[0] === 'migrate' && ['dev', 'diff'].includes(args[1] ?? '') && adminUrl)) return await runPrisma(settings)
  return await withShadowDatabase({ tier, adminUrl, ownerUrl }, (shadowUrl) =>
    runPrisma({ ...settings, PRISMA_SHADOW_DATABASE_URL: shadowUrl }),
  )
}

/** Prisma's exit code. */
function runPrisma(settings: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [prismaCli(), ...args], {
      stdio: 'inherit',
      env: { ...prismaEnvironment(), ...settings },
    })
    // Ctrl-C reaches the child by itself; we stay to clean up after it.
    process.on('SIGINT', () => {})
    child.on('error', reject).on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)))
  })
}
