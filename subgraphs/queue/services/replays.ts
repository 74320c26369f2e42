import type { DeadLetterFilter, ReplayDeadLettersInput } from '#graphql/queue'
import { AppError } from '#platform/errors.ts'
import { groupBy } from '#platform/grouping.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import type { Sql } from '../engine/sql.ts'
import { LETTER_CONDITION, letterConditionValues } from './deadLetters.ts'
import { requeueJobs } from './jobActions.ts'
import { tenantOfFilter } from './reader.ts'
import type { DeadLetterRow } from './rows.ts'
import { actorOf, openWriter, type Writer } from './writer.ts'

export type Replay = { dryRun: boolean; matched: number; replayed: number; deadLetters: DeadLetterRow[] }

const REPLAY_LIMIT = 1_000

const COUNT = `SELECT count(*)::int AS matched FROM dead_letter_jobs WHERE ${LETTER_CONDITION}`

const FIND = `
  SELECT tenant_id AS "tenantId", id, job_id AS "jobId", queue_name AS "queueName", job_type AS "jobType", payload,
    final_attempt AS "finalAttempt", failure_reason AS "failureReason", error_details AS "errorDetails",
    error_fingerprint AS "errorFingerprint", accepted_at AS "acceptedAt", is_resolved AS "isResolved",
    resolved_at AS "resolvedAt", resolved_by AS "resolvedBy", resolution_notes AS "resolutionNotes",
    created_at AS "createdAt", updated_at AS "updatedAt"
  FROM dead_letter_jobs WHERE ${LETTER_CONDITION} ORDER BY created_at, id LIMIT ${REPLAY_LIMIT}`

const LOCK_FAILED = `
  SELECT id FROM jobs WHERE tenant_id = $1 AND id = ANY($2) AND status = 'failed' ORDER BY id FOR UPDATE`

/**
 * Runs the jobs behind unresolved dead letters again, oldest first, at most 1000 a call. All in one transaction, with
 * one entry in the audit log of each tenant concerned. A letter whose job was retried meanwhile is left alone.
 * @throws AppError FORBIDDEN; INVALID_INPUT for resolved letters
 */
export async function replayDeadLetters(context: Context, input: ReplayDeadLettersInput): Promise<Replay> {
  const { filter } = input
  const dryRun = input.dryRun ?? false
  const writer = openWriter(context, 'owner', 'admin')
  tenantOfFilter(writer.caller, filter?.tenantId)
  if (filter?.isResolved) throw new AppError('INVALID_INPUT', 'filter.isResolved: resolved letters are not replayed')
  const condition = letterConditionValues(writer.caller, writer.tenantId, filter)
  const { replay, queues } = await writer.transaction(async (tx) => {
    const { rows: counts } = await tx.query<{ matched: number }>(COUNT, condition)
    const { rows: letters } = await tx.query<DeadLetterRow>(FIND, condition)
    const matched = counts[0]?.matched ?? 0
    if (dryRun) return { replay: { dryRun, matched, replayed: 0, deadLetters: letters }, queues: [] }
    let replayed = 0
    for (const [tenantId, own] of groupBy(letters, (letter) => letter.tenantId)) {
      replayed += await replayTenant(tx, writer, { tenantId, letters: own, filter })
    }
    const { rows: after } = await tx.query<DeadLetterRow>(FIND.replace(LETTER_CONDITION, 'id = ANY($1)'), [
      letters.map(({ id }) => id),
    ])
    const queues = [...new Set(letters.map(({ queueName }) => queueName))]
    return { replay: { dryRun, matched, replayed, deadLetters: after }, queues }
  })
  context.relay.wake()
  context.wakeUp.announce(queues)
  return replay
}

type TenantReplay = { tenantId: string; letters: DeadLetterRow[]; filter: DeadLetterFilter | null | undefined }

async function replayTenant(tx: Sql, writer: Writer, { tenantId, letters, filter }: TenantReplay): Promise<number> {
  const { rows } = await tx.query<{ id: string }>(LOCK_FAILED, [tenantId, letters.map(({ jobId }) => jobId)])
  const ids = rows.map(({ id }) => id)
  if (ids.length === 0) return 0
  await requeueJobs(tx, { tenantId, ids, userId: writer.caller.userId, note: 'replayed by a person' })
  await audit(tx, {
    ...actorOf(writer),
    tenantId,
    action: 'deadLetters.replayed',
    resourceType: 'DeadLetter',
    resourceId: filter?.errorFingerprint ?? '*',
    newValues: { filter: filter ?? {}, jobs: ids },
  })
  return ids.length
}
