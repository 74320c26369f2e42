import type { CreateScheduledJobInput, UpdateScheduledJobInput } from '#graphql/queue'
import { AppError } from '#platform/errors.ts'
import { readCalendar } from '../engine/calendar.ts'
import { describeProblem, jobRequest, renderPayload } from '../engine/jobRequest.ts'
import type { PlatformTask } from '../tasks/services.ts'
import { tasks } from '../tasks/tasks.ts'
import type { ScheduledJobRow } from './rows.ts'

/** What a person decides about a schedule. */
export type Definition = Pick<
  ScheduledJobRow,
  | 'name'
  | 'queueName'
  | 'jobType'
  | 'cronExpression'
  | 'timezone'
  | 'isActive'
  | 'priority'
  | 'overlapPolicy'
  | 'missedRunPolicy'
> & { payload: unknown }

const LONGEST_NAME = 200

/** Copied into each of its jobs, of which there may be a hundred at once. */
const MAX_PAYLOAD_BYTES = 64 * 1024

/**
 * A new schedule as it is asked for, with what was left open.
 * @throws AppError INVALID_INPUT naming the field
 */
export function readNewSchedule(input: CreateScheduledJobInput): Definition {
  const task = tasks.find(({ jobType }) => jobType === input.jobType)
  if (!task) throw invalid('jobType: there is no such job type')
  if (input.queueName != null && input.queueName !== task.queueName) {
    throw invalid(`queueName: jobs of this type run in the queue ${task.queueName}`)
  }
  const { jobType, queueName } = task
  const none = {
    timezone: 'UTC',
    isActive: true,
    priority: null,
    overlapPolicy: 'skip',
    missedRunPolicy: 'run_once',
  } as const
  const given = { ...input, payload: input.payload ?? {} }
  return readDefinition({ ...none, name: '', cronExpression: '', payload: {}, jobType, queueName }, given)
}

/**
 * A schedule as it will be with these changes; what is not given stays as it was.
 * @throws AppError INVALID_INPUT naming the field
 */
export function readChanges(before: Definition, input: UpdateScheduledJobInput): Definition {
  return readDefinition(before, input)
}

/**
 * When a schedule is due next after `now`; null for one that is not active.
 * @throws AppError INVALID_INPUT for an expression or a zone that cannot be read, or that never comes due
 */
export function nextRunOf({ cronExpression, timezone, isActive }: Definition, now: Date): Date | null {
  const next = readOrRefuse(() => readCalendar(cronExpression, timezone)).next(now)
  if (next === null) throw invalid('cronExpression: never comes due')
  return isActive ? next : null
}

function readDefinition(before: Definition, input: Partial<UpdateScheduledJobInput>): Definition {
  const definition: Definition = {
    ...before,
    name: input.name == null ? before.name : readName(input.name),
    payload: input.payload == null ? before.payload : readPayload(input.payload, before.jobType),
    cronExpression: input.cronExpression?.trim() ?? before.cronExpression,
    timezone: input.timezone ?? before.timezone,
    isActive: input.isActive ?? before.isActive,
    // Null is a value of its own here: the queue's priority.
    priority: input.priority === undefined ? before.priority : input.priority,
    overlapPolicy: input.overlapPolicy ?? before.overlapPolicy,
    missedRunPolicy: input.missedRunPolicy ?? before.missedRunPolicy,
  }
  if (definition.missedRunPolicy === 'run_all' && definition.overlapPolicy === 'skip') {
    throw invalid('missedRunPolicy: RUN_ALL makes jobs side by side, which only overlapPolicy ALLOW lets it')
  }
  const priority = jobRequest.shape.priority.safeParse(definition.priority)
  if (!priority.success) throw invalid(`priority: ${describeProblem(priority.error)}`)
  return definition
}

function readName(text: string): string {
  const name = text.trim()
  if (name === '') throw invalid('name: is empty')
  if (name.length > LONGEST_NAME) throw invalid(`name: has more than ${LONGEST_NAME} characters`)
  if (name.includes('\0') || /\p{Surrogate}/u.test(name)) throw invalid('name: holds characters that cannot be stored')
  return name
}

function readPayload(payload: unknown, jobType: string): Record<string, unknown> {
  const given = jobRequest.shape.payload.safeParse(payload)
  if (!given.success) throw invalid('payload: is not an object')
  const json = readOrRefuse(() => renderPayload(given.data))
  if (Buffer.byteLength(json) > MAX_PAYLOAD_BYTES) throw invalid(`payload: is larger than ${MAX_PAYLOAD_BYTES} bytes`)
  const task: PlatformTask | undefined = tasks.find((one) => one.jobType === jobType)
  const parsed = task?.payload.safeParse(given.data)
  if (parsed && !parsed.success) throw invalid(`payload: ${describeProblem(parsed.error)}`)
  return given.data
}

function readOrRefuse<Value>(read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    throw invalid((cause as Error).message, cause)
  }
}

function invalid(message: string, cause?: unknown): AppError {
  return new AppError('INVALID_INPUT', message, { cause })
}
