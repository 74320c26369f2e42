import { isDeepStrictEqual } from 'node:util'
import { v7 as uuidv7 } from 'uuid'
import { makeRepeatable, rememberAnswer } from '#platform/database/idempotency.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { auditAll } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import { transact } from './sending/transact.ts'

/** What a person did, for the audit log, which keeps it for ever: nothing personal, no texts, no secrets. */
export type Act = {
  action: string
  resourceType: string
  resourceId: string
  oldValues?: Record<string, unknown>
  newValues?: Record<string, unknown>
  notes?: string
}

/** Deadlocks and lost connections undo a change as a whole: it is tried again. */
const RETRIES = 2

/**
 * What a person changes, in one transaction with its entry in the audit log; `work` may run several times. What it
 * announces is delivered at once.
 */
export async function changeAudited<Result>(
  context: Context,
  work: (tx: Queryable, record: (...acts: Act[]) => Promise<void>) => Promise<Result>,
): Promise<Result> {
  const { caller, relay, requestId } = context
  const tenantId = currentTenant()
  const result = await transact(
    context,
    (tx) =>
      work(tx, async (...acts) => {
        const entry = { tenantId, correlationId: requestId, adminUserId: caller.userId }
        await auditAll(
          tx,
          acts.map((act) => ({ ...act, ...entry })),
        )
      }),
    { retries: RETRIES },
  )
  relay.wake()
  return result
}

/**
 * Creates something under an id of its own, once per `idempotencyKey`: a repeat answers the first id, and `write` is not
 * asked. `write` inserts it and answers what the audit log is told.
 * @throws AppError CONFLICT for a key used with another input
 */
export async function createOnce<Input extends { idempotencyKey?: string | null }>(
  context: Context,
  { action, resourceType, input }: { action: string; resourceType: string; input: Input },
  write: (tx: Queryable, id: string) => Promise<Record<string, unknown>>,
): Promise<string> {
  const { idempotencyKey, ...asked } = input
  const request = makeRepeatable(idempotencyKey, action, [JSON.stringify(asked)])
  const made = { id: uuidv7() }
  return await changeAudited(context, async (tx, record) => {
    const earlier = request && (await rememberAnswer(tx, request, made))
    if (earlier) return earlier.id
    const newValues = await write(tx, made.id)
    await record({ action, resourceType, resourceId: made.id, newValues })
    return made.id
  })
}

/** Those of the new values that differ, and what they were. */
export function diff(before: Record<string, unknown>, after: Record<string, unknown>) {
  const names = Object.keys(after).filter((name) => !isDeepStrictEqual(before[name], after[name]))
  const pick = (values: Record<string, unknown>) =>
    Object.fromEntries(names.map((name) => [name, values[name] ?? null]))
  return { names, oldValues: pick(before), newValues: pick(after) }
}

/** What a client gave of an input: a field that is null is given, one that is left out is not. */
export function pickGiven<Input extends object>(input: Input): Input {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as Input
}
