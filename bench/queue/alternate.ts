import { type Measured, speedRatio } from '../support/rounds.ts'
import { median } from '../support/statistics.ts'
import { formatTable } from '../support/table.ts'

/** What one round came to: this process' CPU time leaves out the databases' and, if NaN, says nothing. */
export type Round = { jobs: number; ms: number; cpuMs: number }

/** Times `work` on `jobs` jobs. */
export async function time(jobs: number, work: () => Promise<unknown>): Promise<Round> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { jobs, ms, cpuMs: (user + system) / 1000 }
}

/** Rounds in turn, so that whatever else the machine does falls on all alike. The first of each is not counted. */
export async function alternate<Entrant extends { name: string }>(
  entrants: readonly Entrant[],
  rounds: number,
  measure: (entrant: Entrant) => Promise<Round>,
): Promise<Measured[]> {
  const results = new Map<string, Round[]>(entrants.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    const first = round % entrants.length
    for (const entrant of [...entrants.slice(first), ...entrants.slice(0, first)]) {
      const result = await measure(entrant)
      if (round > 0) results.get(entrant.name)?.push(result)
    }
  }
  return [...results].map(([name, all]) => {
    const speeds = all.map(({ jobs, ms }) => (jobs / ms) * 1000)
    return { name, speeds, perSecond: median(speeds), cpuMsPerRequest: median(all.map((r) => r.cpuMs / r.jobs)) }
  })
}

/** Everyone's jobs a second, and how many times as fast they are as each of the `bases`. */
export function report(title: string, measured: readonly Measured[], bases: readonly string[]): void {
  const columns = measured.filter(({ name }) => bases.includes(name))
  const hasCpu = measured.some(({ cpuMsPerRequest }) => !Number.isNaN(cpuMsPerRequest))
  console.log(`\n${title}\n`)
  console.log(
    formatTable(
      [
        '',
        'jobs/s',
        'least',
        'most',
        ...(hasCpu ? ['Node CPU µs/job'] : []),
        ...columns.map(({ name }) => `× ${name}`),
      ],
      measured.map((own) => [
        own.name,
        own.perSecond.toFixed(0),
        Math.min(...own.speeds).toFixed(0),
        Math.max(...own.speeds).toFixed(0),
        ...(hasCpu ? [(own.cpuMsPerRequest * 1000).toFixed(0)] : []),
        ...columns.map((base) => speedRatio(own, base).toFixed(2)),
      ]),
    ),
  )
}
