import type { Evidence, Finding } from './evidence.ts'

/** What was promised against what the database has: nothing lost, nothing twice, nothing given up that could be done. */
export function checkLedger({ requested, accepted, jobs }: Evidence): Finding {
  const violations: string[] = []
  const known = new Set(jobs.map(({ id }) => id))
  if (accepted.size !== requested) violations.push(`${requested} jobs were asked for, but ${accepted.size} promised`)
  for (const id of accepted.keys()) if (!known.has(id)) violations.push(`job ${id} was promised and is gone`)
  for (const { id, status, completions, deadLetters } of jobs) {
    const fate = accepted.get(id)
    if (!fate) {
      violations.push(`job ${id} exists though nobody was promised it`)
      continue
    }
    const [wantedStatus, wantedCompletions, wantedLetters] = fate === 'doomed' ? ['failed', 0, 1] : ['completed', 1, 0]
    if (status !== wantedStatus) violations.push(`job ${id} (${fate}) ended ${status}`)
    if (completions !== wantedCompletions) violations.push(`job ${id} (${fate}) was completed ${completions} times`)
    if (deadLetters !== wantedLetters) violations.push(`job ${id} (${fate}) has ${deadLetters} dead letters`)
  }
  const count = (status: string) => jobs.filter((job) => job.status === status).length
  return {
    violations,
    counts: {
      'jobs promised': accepted.size,
      'jobs completed': count('completed'),
      'dead letters, all meant': jobs.reduce((sum, { deadLetters }) => sum + deadLetters, 0),
      'jobs left open': jobs.length - count('completed') - count('failed'),
    },
  }
}
