import type { DeadLetterFilter, ReplayDeadLettersInput, ResolveDeadLettersInput } from '#graphql/queue'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../context.ts'
import { collectValues } from '../engine/conditions.ts'
import { type LetterFilter, letterConditions } from '../engine/letterFilter.ts'
import { type LetterRow, letterReplay } from '../engine/letterSweeps.ts'
import type { Step } from '../engine/sweep.ts'
import { replayDeadLetters as replayTask } from '../tasks/replayDeadLetters.ts'
import { letterResolutionSweep, resolveDeadLetters as resolveTask } from '../tasks/resolveDeadLetters.ts'
import { type BulkOutcome, runBulk } from './bulk.ts'
import { readLetterFilter } from './deadLetters.ts'
import type { DeadLetterRow, JobRow } from './rows.ts'
import { RECORDING_JOB_TYPES } from './tenantJobTypes.ts'
import { openWriter, type Writer } from './writer.ts'

export type LetterOutcome = {
  dryRun: boolean
  matched: number
  failures: Step['failures']
  job: JobRow | null
  deadLetters: DeadLetterRow[]
}

const LONGEST_NOTES = 2_000

/**
 * Runs the jobs behind unresolved dead letters again, oldest first: up to 1000 at once, in one transaction, more by a
 * job. Each tenant's audit log is told. A letter whose job cannot run again is answered with the reason and left alone.
 * @throws AppError FORBIDDEN; INVALID_INPUT for a filter for resolved letters; CONFLICT for one that names any
 */
export async function replayDeadLetters(context: Context, input: ReplayDeadLettersInput) {
  const { writer, filter } = await openLetters(context, input.filter)
  const outcome = await runBulk(context, writer, {
    ...{ sweep: letterReplay, task: replayTask, filter },
    ...{ dryRun: input.dryRun ?? false, asJob: input.asJob ?? false },
  })
  return { ...(await describeOutcome(context, writer, outcome)), replayed: outcome.ids.length }
}

/**
 * Sets unresolved dead letters aside; their jobs stay failed. As many at once as `replayDeadLetters`.
 * @throws AppError as `replayDeadLetters`
 */
export async function resolveDeadLetters(context: Context, input: ResolveDeadLettersInput) {
  const notes = readNotes(input.notes)
  const { writer, filter } = await openLetters(context, input.filter)
  const outcome = await runBulk(context, writer, {
    ...{ sweep: letterResolutionSweep, task: resolveTask, filter, notes },
    ...{ dryRun: input.dryRun ?? false, asJob: input.asJob ?? false },
  })
  return { ...(await describeOutcome(context, writer, outcome)), resolved: outcome.ids.length }
}

/**
 * Sets one dead letter aside.
 * @throws AppError NOT_FOUND; CONFLICT when it is resolved; FORBIDDEN for a tenant's user and a job that keeps records
 */
export async function resolveDeadLetter(context: Context, input: { id: string; notes?: string | null }) {
  const id = readId(input.id, 'input.id')
  const notes = readNotes(input.notes)
  const { writer, filter } = await openLetters(context, { ids: [id] })
  const outcome = await runBulk(context, writer, {
    ...{ sweep: letterResolutionSweep, task: resolveTask, filter, notes, dryRun: false, asJob: false },
  })
  if (outcome.matched === 0) throw new AppError('NOT_FOUND', 'there is no such dead letter')
  const [failure] = outcome.failures
  if (failure) {
    const isForStaff = writer.tenantId !== null && RECORDING_JOB_TYPES.includes(outcome.rows[0]?.jobType ?? '')
    throw new AppError(isForStaff ? 'FORBIDDEN' : 'CONFLICT', failure.reason)
  }
  const { deadLetters } = await describeOutcome(context, writer, outcome)
  return { deadLetter: deadLetters[0] as DeadLetterRow }
}

async function openLetters(context: Context, given: DeadLetterFilter | null | undefined) {
  const writer = openWriter(context, 'owner', 'admin')
  if (given?.isResolved) throw new AppError('INVALID_INPUT', 'filter.isResolved: what is resolved stays so')
  const filter = readLetterFilter(writer.caller, writer.tenantId, given)
  if (filter.ids) await refuseResolved(writer, filter)
  return { writer, filter }
}

/** Whoever names a letter wants that one: silence would look as if it had been done now. */
async function refuseResolved(writer: Writer, filter: LetterFilter): Promise<void> {
  const { values, bind } = collectValues()
  const text = `SELECT id FROM dead_letter_jobs l WHERE ${letterConditions(filter, bind)} AND l.is_resolved LIMIT 1`
  const { rows } = await writer.transaction((tx) => tx.query<{ id: string }>(text, values))
  if (rows[0]) throw new AppError('CONFLICT', `the dead letter ${rows[0].id} is resolved`)
}

async function describeOutcome({ db }: Context, { tenantId }: Writer, outcome: BulkOutcome<LetterRow>) {
  const { dryRun, matched, failures, job, rows } = outcome
  const id = { in: rows.map((row) => row.id) }
  const where = tenantId === null ? { tenantId: { in: [...new Set(rows.map((row) => row.tenantId))] }, id } : { id }
  const { deadLetterJob } = tenantId === null ? db.system : db.tenant
  const found = rows.length > 0 ? await deadLetterJob.findMany({ where }) : []
  const byId = new Map(found.map((letter) => [letter.id, letter]))
  const deadLetters = rows.flatMap((row) => byId.get(row.id) ?? [])
  return { dryRun, matched, failures, job, deadLetters } satisfies LetterOutcome
}

/** @throws AppError INVALID_INPUT for more than 2000 characters */
function readNotes(notes: string | null | undefined): string | null {
  if (notes && notes.length > LONGEST_NOTES)
    throw new AppError('INVALID_INPUT', `notes: at most ${LONGEST_NOTES} characters`)
  return notes ?? null
}
