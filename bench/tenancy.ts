/**
 * What tenant scoping costs: the same rows read in the same run by
 * - pg without row level security, and through the TenantPool;
 * - Prisma without row level security, through the tenant client, and through the extension that Prisma documents for
 *   row level security (a batch transaction of set_config and the query), made once per tenant to spare it the making.
 */
import { deepStrictEqual } from 'node:assert/strict'
import { machineLine } from './support/machine.ts'
import { type Measured, measureRounds } from './support/rounds.ts'
import { formatTable } from './support/table.ts'
import { closeContenders, openContenders, type Workload } from './support/tenancyContenders.ts'
import { openBenchDatabase } from './support/tierDatabase.ts'

const ROUNDS = 7
const ROUND_MS = 700
const IN_FLIGHT = 16
const CHECKED_REQUESTS = 50

const database = await openBenchDatabase('oltp')
const contenders = await openContenders(database)
try {
  console.log(
    `${machineLine(contenders.postgresVersion)}\n${IN_FLIGHT} in flight over 10 connections, medians of ${ROUNDS} rounds`,
  )
  for (const workload of contenders.workloads) {
    await checkAnswers(workload)
    const measured = await measureRounds(workload.contenders, {
      inFlight: IN_FLIGHT,
      rounds: ROUNDS,
      roundMs: ROUND_MS,
    })
    report(workload, measured)
  }
} finally {
  await closeContenders(contenders)
  await database.close()
}

/** Everyone must give the same answers before anyone is timed. */
async function checkAnswers({ contenders, read }: Workload): Promise<void> {
  const [first, ...others] = contenders
  if (!first) return
  for (let n = 0; n < CHECKED_REQUESTS; n++) {
    const expected = read(await first.request(n))
    for (const other of others) deepStrictEqual(read(await other.request(n)), expected, `${other.name}, request ${n}`)
  }
}

function report({ title }: Workload, measured: readonly Measured[]): void {
  const speed = (name: string) => measured.find((one) => one.name === name)?.perSecond ?? Number.NaN
  const ratio = (own: number, base: number) => (own / base).toFixed(2)
  console.log(`\n${title}\n`)
  console.log(
    formatTable(
      ['', 'requests/s', 'slowest–fastest round', 'Node CPU ms', '× pg', '× Prisma', "× Prisma's extension"],
      measured.map(({ name, perSecond, range, cpuMsPerRequest }) => [
        name,
        perSecond.toFixed(0),
        range.map((value) => value.toFixed(0)).join('–'),
        cpuMsPerRequest.toFixed(3),
        ratio(perSecond, speed('pg, no RLS')),
        ratio(perSecond, speed('Prisma, no RLS')),
        ratio(perSecond, speed("Prisma's RLS extension")),
      ]),
    ),
  )
}
