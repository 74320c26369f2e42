/**
 * Every list of the oltp tier on a million messages of fifty tenants: milliseconds, statements, rows read, indexes used.
 *
 * The tier is asked as the gateway asks it, on one connection: a list's first page as each of the tenants in turn (every
 * other time as the largest), and a page far behind it as the largest. A list that scans a table, or reads more of an
 * index than a page is worth, fails the bench. After `--`: `--refs N`, `--tenants N`, `--samples N`.
 */
import { parseArgs } from 'node:util'
import pg from 'pg'
import { behind, LISTS, STAFF_LISTS, WHOLE } from './oltp/lists.ts'
import { between, readings } from './oltp/readings.ts'
import { fillStock, type StockedTenant } from './oltp/stock.ts'
import { type OltpUnderTest, openOltp } from './oltp/tier.ts'
import { machineLine } from './support/machine.ts'
import { formatTable } from './support/table.ts'
import { openBenchDatabase } from './support/tierDatabase.ts'

const { values } = parseArgs({
  options: {
    refs: { type: 'string', default: '1000000' },
    tenants: { type: 'string', default: '50' },
    samples: { type: 'string', default: '100' },
  },
})
const [refs, tenantCount, samples] = [Number(values.refs), Number(values.tenants), Number(values.samples)]

/**
 * Entries of indexes that a page of twenty may cost: its rows, the one behind, and what belongs to each; where nulls come
 * last, the pages before it too.
 */
const MOST_READ = 400
const PAGES_BEHIND = 10

const database = await openBenchDatabase('oltp')
let tier: OltpUnderTest | undefined
try {
  const tenants = await fill()
  tier = await openOltp(database)
  const { rows } = await tier.db.systemSql.query('SHOW server_version')
  console.log(`${machineLine(rows[0]?.server_version)}; ${refs} messages, ${tenantCount} tenants, ${samples} samples`)
  const lists = await measureAll(tier, LISTS, tenants)
  console.log(`\nPages of twenty\n\n${describe(lists)}`)
  console.log(`\nWhat looks at all that fits, by its nature\n\n${describe(await measureAll(tier, WHOLE, tenants))}`)
  const ofStaff = await measureAll(tier, STAFF_LISTS, [{ tenantId: null }])
  console.log(`\nWhat staff may ask, of the whole platform\n\n${describe(ofStaff)}`)
  const dear = lists.filter(({ scans, read }) => scans > 0 || read > MOST_READ)
  for (const { name } of dear) console.error(`${name}: reads more than a page is worth`)
  if (dear.length > 0) process.exitCode = 1
} finally {
  await tier?.close()
  await database.close()
}

async function fill(): Promise<StockedTenant[]> {
  const began = performance.now()
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(0)} s`
  const onProgress = (done: number) => process.stderr.write(`\r${done} messages, ${seconds()} `)
  const [system, owner] = [database.systemUrl, database.ownerUrl].map((url) => new pg.Client(url)) as [
    pg.Client,
    pg.Client,
  ]
  await Promise.all([system.connect(), owner.connect()])
  const tenants = await fillStock(system, { tenants: tenantCount, refs, onProgress })
  // As autovacuum leaves them: what an index alone can answer depends on it.
  await owner.query('VACUUM (ANALYZE)')
  await Promise.all([system.end(), owner.end()])
  process.stderr.write(`\rfilled in ${seconds()}                    \n`)
  return tenants
}

type Measured = { name: string; ms: number[]; deepMs: number[]; statements: number } & ReturnType<typeof between>

async function measureAll<Asker extends { tenantId: string | null }>(
  tier: OltpUnderTest,
  lists: Record<string, (asker: Asker) => string>,
  askers: readonly Asker[],
): Promise<Measured[]> {
  const measured: Measured[] = []
  for (const [name, fieldFor] of Object.entries(lists)) {
    measured.push(await measure(tier, name, fieldFor, askers))
  }
  return measured
}

async function measure<Asker extends { tenantId: string | null }>(
  tier: OltpUnderTest,
  name: string,
  fieldFor: (asker: Asker) => string,
  askers: readonly Asker[],
): Promise<Measured> {
  const largest = askers[0] as Asker
  const ask = (field: string, { tenantId }: Asker) => tier.ask(`{ ${field} }`, tenantId)
  const timed = async (field: string, asker: Asker) => {
    const start = performance.now()
    await ask(field, asker)
    return performance.now() - start
  }
  const field = fieldFor(largest)
  const deep = await pageFarBehind(tier, field, largest)
  const { statements } = await tier.db.statements.during(() => ask(deep, largest))
  const before = await readings(tier.db, largest.tenantId)
  await ask(deep, largest)
  const cost = between(before, await readings(tier.db, largest.tenantId))
  const ms: number[] = []
  const deepMs: number[] = []
  for (let n = 0; n < samples; n++) {
    const asker = (n % 2 === 0 ? largest : askers[(n * 7) % askers.length]) as Asker
    ms.push(await timed(fieldFor(asker), asker))
    deepMs.push(await timed(deep, largest))
  }
  return { name, ms, deepMs, statements: statements.length, ...cost }
}

type Page = { nodes?: unknown[]; pageInfo?: { endCursor: string } }

/** The list's field behind its tenth page, or as far as it goes; as it is when it has no pages. */
async function pageFarBehind(
  tier: OltpUnderTest,
  field: string,
  { tenantId }: { tenantId: string | null },
): Promise<string> {
  let page = field
  for (let n = 0; n < PAGES_BEHIND; n++) {
    const [list] = Object.values(await tier.ask(`{ ${page} }`, tenantId)) as Page[]
    if (!list?.pageInfo || list.nodes?.length !== 20) break
    page = behind(field, list.pageInfo.endCursor)
  }
  return page
}

function describe(lists: readonly Measured[]): string {
  const at = (ms: number[], share: number) => ms.toSorted((a, b) => a - b)[Math.floor((ms.length - 1) * share)] ?? 0
  return formatTable(
    ['', 'p50 ms', 'p95 ms', 'far behind p95', 'statements', 'entries read', 'scans', 'indexes'],
    lists.map(({ name, ms, deepMs, statements, read, scans, indexes }) => [
      name,
      at(ms, 0.5).toFixed(1),
      at(ms, 0.95).toFixed(1),
      at(deepMs, 0.95).toFixed(1),
      String(statements),
      String(read),
      String(scans),
      indexes.join(' '),
    ]),
  )
}
