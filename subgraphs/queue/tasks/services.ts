import type pg from 'pg'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { PermanentFailure } from '../engine/failure.ts'
import type { AnyTask, ItemOutcome, Task } from '../engine/task.ts'
import type { MailboxReader } from '../imap/mailboxReader.ts'
import type { MailSender } from '../sending/mailSender.ts'

/** The tiers a task may ask; a task writes nowhere but through the tier that owns what is written. */
export type TaskServices = Record<'oltp' | 'content' | 'analytics', ServiceClient> & {
  queue: OwnTier
  /** Hands mails to the servers they go out by. */
  mail: Pick<MailSender, 'send'>
  /** Fetches mail from the servers it comes to. */
  mailboxes: Pick<MailboxReader, 'read'>
}

/** The worker's own tier: what the queue's tasks do to the queue goes through its engine, not through the graph. */
export type OwnTier = {
  /** Pool of the system role, for functions of the engine. */
  pool: pg.Pool
  /** These queues have work. */
  announce: (queueNames: readonly string[]) => void
}

export type PlatformTask = AnyTask<TaskServices>

/** Types a task's `run` by its payload's schema. */
export function defineTask<Payload>(task: Task<TaskServices, Payload>): PlatformTask {
  return task
}

/** What a tier answers for each item of a batch. */
export type ItemAnswer = { status: string; error?: string | null }

/**
 * The outcome of each item by its key: recorded before is as good as recorded now; refused is refused for good; no
 * answer is tried again.
 */
export function outcomesByKey(keys: readonly string[], answers: ReadonlyMap<string, ItemAnswer>): ItemOutcome[] {
  return keys.map((key) => {
    const answer = answers.get(key)
    if (!answer) return { kind: 'failed', error: new Error('the tier gave no answer for this item') }
    if (answer.status !== 'REJECTED') return { kind: 'completed' }
    return { kind: 'failed', error: new PermanentFailure(`refused: ${answer.error ?? 'no reason given'}`) }
  })
}
