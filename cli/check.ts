// npm run check: everything a change must satisfy besides the tests. All of it runs, whatever fails; exit 1 if any did.
import path from 'node:path'
import { bin, findComplaints, script } from './check/commands.ts'
import { findSchemaDrift } from './check/drift.ts'
import { findBreaches } from './check/walls.ts'

/** Finds what is wrong, in words for who broke it; null when nothing is. */
type Check = { name: string; run: () => Promise<string | null> }

const ROOT = path.resolve(import.meta.dirname, '..')

const CHECKS: readonly Check[] = [
  // First, so that the types below are those of the schemas as they stand. generated/ itself is not committed.
  { name: 'generated code', run: () => findComplaints(script('cli/generate.ts')) },
  {
    name: 'format and lint',
    run: () => findComplaints(bin('biome', 'ci', '--colors=off', '--error-on-warnings', '.')),
  },
  { name: 'types', run: () => findComplaints(bin('tsc', '--noEmit', '--pretty', 'false')) },
  {
    name: "the explorer's types",
    run: () => findComplaints(bin('tsc', '--noEmit', '--pretty', 'false', '-p', 'gateway/explorer/browser')),
  },
  { name: 'supergraph', run: () => findComplaints(script('cli/compose.ts', '--check')) },
  { name: 'schema documents', run: () => findComplaints(script('cli/docs.ts', '--check')) },
  { name: 'walls', run: findWallBreaches },
  { name: 'schema = migrations = database', run: findSchemaDrift },
]

let failed = 0
for (const { name, run } of CHECKS) {
  const started = performance.now()
  const problem = await run().catch((error: unknown) =>
    error instanceof Error ? (error.stack ?? error.message) : `${error}`,
  )
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${problem === null ? 'ok    ' : 'FAILED'}  ${name.padEnd(30)} ${seconds.padStart(5)} s\n`)
  if (problem === null) continue
  failed += 1
  process.stdout.write(`${problem.replace(/^/gm, '        ')}\n`)
}
process.stdout.write(failed === 0 ? 'all is well\n' : `${failed} of ${CHECKS.length} checks failed\n`)
process.exit(failed === 0 ? 0 : 1)

async function findWallBreaches(): Promise<string | null> {
  const breaches = findBreaches(ROOT).map(({ file, specifier, rule }) => `${file} imports ${specifier}: ${rule}`)
  return breaches.join('\n') || null
}
