import { groupBy } from '#platform/grouping.ts'
import { audit } from '#platform/outbox/announce.ts'
import { type Bind, collectValues } from './conditions.ts'
import { type LetterFilter, letterConditions } from './letterFilter.ts'
import { requeueEnded } from './requeue.ts'
import type { Sql } from './sql.ts'
import type { Order, Step, Sweep } from './sweep.ts'

export type LetterRow = { tenantId: string; id: string; jobId: string; jobType: string; createdAt: Date }

type LetterSweep = Sweep<LetterFilter, LetterRow>

async function count(sql: Sql, filter: LetterFilter, asOf: Date | null): Promise<number> {
  const { values, bind } = collectValues()
  const { rows } = await sql.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM dead_letter_jobs l
     WHERE ${letterConditions(filter, bind)} AND NOT l.is_resolved ${until(asOf, bind)}`,
    values,
  )
  return rows[0]?.count ?? 0
}

/** Unresolved ones, oldest first. */
const find: LetterSweep['find'] = async (sql, filter, { asOf, after, limit }) => {
  const { values, bind } = collectValues()
  const further = after ? `AND (l.created_at, l.id) > (${bind(after[0])}::timestamptz, ${bind(after[1])}::uuid)` : ''
  const { rows } = await sql.query<LetterRow>(
    `SELECT l.tenant_id AS "tenantId", l.id, l.job_id AS "jobId", l.job_type AS "jobType", l.created_at AS "createdAt"
     FROM dead_letter_jobs l
     WHERE ${letterConditions(filter, bind)} AND NOT l.is_resolved ${until(asOf, bind)} ${further}
     ORDER BY l.created_at, l.id LIMIT ${limit}`,
    values,
  )
  return rows
}

const until = (asOf: Date | null, bind: Bind) => (asOf ? `AND l.created_at <= ${bind(asOf)}` : '')

const placeOf: LetterSweep['placeOf'] = ({ createdAt, id }) => [createdAt.toISOString(), id]

/** Runs the jobs behind dead letters again: those still failed, whose unique key nobody else has taken. */
export const letterReplay: LetterSweep = {
  count,
  find,
  placeOf,
  apply: (tx, letters, order) =>
    eachTenant(letters, async (tenantId, own) => {
      const { userId, notes } = order
      const { ids, queueNames, refused } = await requeueEnded(tx, {
        ...{ tenantId, ids: own.map(({ jobId }) => jobId), from: ['failed'] },
        ...{ userId, note: notes ?? 'replayed by a person' },
      })
      if (ids.length > 0)
        await record(tx, order, { tenantId, action: 'deadLetters.replayed', newValues: { jobs: ids } })
      const reasonOf = ({ jobId }: LetterRow) => refused.get(jobId)
      return { ...splitBy(own, reasonOf), queueNames }
    }),
}

const RESOLVE = `
  UPDATE dead_letter_jobs
  SET is_resolved = true, resolved_at = clock_timestamp(), resolved_by = $3, resolution_notes = $4
  WHERE tenant_id = $1 AND id = ANY($2) AND NOT is_resolved RETURNING id`

/** Sets dead letters aside for good, their jobs left as they are. What must be recorded only staff may set aside. */
export function letterResolution(onlyForStaff: readonly string[]): LetterSweep {
  return {
    count,
    find,
    placeOf,
    apply: (tx, letters, order) =>
      eachTenant(letters, async (tenantId, own) => {
        const isForbidden = ({ jobType }: LetterRow) => !order.isStaff && onlyForStaff.includes(jobType)
        const allowed = own.filter((letter) => !isForbidden(letter)).map(({ id }) => id)
        const { rows } = await tx.query<{ id: string }>(RESOLVE, [tenantId, allowed, order.userId, order.notes])
        const letterIds = rows.map(({ id }) => id)
        if (letterIds.length > 0) {
          await record(tx, order, { tenantId, action: 'deadLetters.resolved', newValues: { deadLetters: letterIds } })
        }
        const resolved = new Set(letterIds)
        const reasonOf = (letter: LetterRow) => {
          if (isForbidden(letter)) return `only staff may set ${letter.jobType} jobs aside`
          return resolved.has(letter.id) ? undefined : 'it was resolved meanwhile'
        }
        return { ...splitBy(own, reasonOf), queueNames: [] }
      }),
  }
}

/** In the order of tenants, so that two sweeps wait for each other and not in a circle. */
async function eachTenant(
  letters: readonly LetterRow[],
  work: (tenantId: string, own: LetterRow[]) => Promise<Step>,
): Promise<Step> {
  const all: Step = { ids: [], failures: [], queueNames: [] }
  for (const [tenantId, own] of [...groupBy(letters, (letter) => letter.tenantId)].sort(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    const step = await work(tenantId, own)
    all.ids.push(...step.ids)
    all.failures.push(...step.failures)
    all.queueNames.push(...step.queueNames)
  }
  return { ...all, queueNames: [...new Set(all.queueNames)] }
}

function splitBy(letters: readonly LetterRow[], reasonOf: (letter: LetterRow) => string | undefined) {
  const ids: string[] = []
  const failures: Step['failures'] = []
  for (const letter of letters) {
    const reason = reasonOf(letter)
    if (reason === undefined) ids.push(letter.id)
    else failures.push({ id: letter.id, reason })
  }
  return { ids, failures }
}

type Done = { tenantId: string; action: string; newValues: Record<string, unknown> }

async function record(tx: Sql, { filter, userId, correlationId, notes }: Order<LetterFilter>, done: Done) {
  await audit(tx, {
    ...{ tenantId: done.tenantId, correlationId, adminUserId: userId, action: done.action, notes },
    ...{ resourceType: 'DeadLetter', resourceId: filter.errorFingerprint ?? '*' },
    newValues: { filter, ...done.newValues },
  })
}
