/**
 * What tenant scoping costs, against plain pg, plain Prisma and the extension that Prisma documents.
 *
 * The same rows are read in the same run by pg without row level security and through the TenantPool; by Prisma without
 * row level security, through the tenant client, and through Prisma's example of an extension for row level security (a
 * batch transaction of set_config and the query): as documented, and at its best.
 */
import { deepStrictEqual } from 'node:assert/strict'
import { machineLine } from './support/machine.ts'
import { type Measured, measureRounds, speedRatio } from './support/rounds.ts'
import { formatTable } from './support/table.ts'
import { closeContenders, openContenders, type Workload } from './support/tenancyContenders.ts'
import { openBenchDatabase } from './support/tierDatabase.ts'

const ROUNDS = 20
const ROUND_MS = 200
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
  const ratioTo = (own: Measured, name: string) => {
    const base = measured.find((other) => other.name === name)
    return base ? speedRatio(own, base).toFixed(2) : ''
  }
  console.log(`\n${title}\n`)
  console.log(
    formatTable(
      ['', 'requests/s', 'Node CPU ms', '× pg', '× Prisma', "× Prisma's extension"],
      measured.map((own) => [
        own.name,
        own.perSecond.toFixed(0),
        own.cpuMsPerRequest.toFixed(3),
        ratioTo(own, 'pg, no RLS'),
        ratioTo(own, 'Prisma, no RLS'),
        ratioTo(own, "Prisma's RLS extension"),
      ]),
    ),
  )
}
