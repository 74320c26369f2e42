import type { RecordPolledMailsInput, RecordPolledMailsPayload, RecordPollFailureInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant, runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { ingestMessage } from '../mailFlow/ingest.ts'
import { disconnectMailboxes } from '../sending/disconnect.ts'
import { cleanText } from '../texts.ts'

const MAX_MAILS = 50
const MAX_ERROR_LENGTH = 500

// Of two who read the same folder at once the one that got further counts; another numbering begins anew.
const ADVANCE = `
  INSERT INTO imap_cursors AS c (tenant_id, email_account_id, folder, uid_validity, last_uid, polled_at)
  VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (tenant_id, email_account_id, folder) DO UPDATE
  SET last_uid = CASE WHEN c.uid_validity = excluded.uid_validity THEN greatest(c.last_uid, excluded.last_uid)
                      ELSE excluded.last_uid END,
      uid_validity = excluded.uid_validity, polled_at = excluded.polled_at, last_error = NULL`

const NOTE_FAILURE = `
  INSERT INTO imap_cursors (tenant_id, email_account_id, folder, polled_at, last_error)
  SELECT tenant_id, id, $3, $4, $5 FROM email_accounts WHERE tenant_id = $1 AND id = $2
  ON CONFLICT (tenant_id, email_account_id, folder) DO UPDATE
  SET polled_at = excluded.polled_at, last_error = excluded.last_error`

/**
 * Takes in mails that a worker fetched from a mailbox, then moves the mailbox's cursor: only when all of them are stored,
 * so that a crash in between fetches them again and finds them known. A mail that can never be taken in (empty, too
 * large) is passed over.
 * @throws AppError NOT_FOUND for an unknown mailbox; LIMIT_REACHED above 50 mails; UNAVAILABLE, with the cursor as it was
 */
export async function recordPolledMails(
  context: Context,
  input: RecordPolledMailsInput,
): Promise<RecordPolledMailsPayload> {
  const { folder, uidValidity, lastUid } = input
  const emailAccountId = readId(input.emailAccountId, 'emailAccountId')
  if (input.mails.length > MAX_MAILS) throw new AppError('LIMIT_REACHED', `mails: at most ${MAX_MAILS} at a time`)
  return runAsTenant(readId(input.tenantId, 'tenantId'), async () => {
    const taken = await Promise.allSettled(
      input.mails.map(({ raw }) => ingestMessage(context, { raw, emailAccountId })),
    )
    const refused = taken.filter(isRefused).length
    const failed = taken.find((one) => one.status === 'rejected' && !isRefused(one))
    if (failed) throw (failed as PromiseRejectedResult).reason
    const place = [currentTenant(), emailAccountId, folder]
    await context.db.tenantSql
      .query(ADVANCE, [...place, String(uidValidity), String(lastUid), now()])
      .catch(unknownMailbox)
    const stored = taken.filter((one) => one.status === 'fulfilled' && !one.value.duplicate).length
    return { stored, refused }
  })
}

/**
 * Notes that a mailbox could not be looked into. One whose server does not accept the password is taken out of use, and
 * its owners are told, once.
 * @throws AppError INVALID_INPUT for an id that is none
 */
export async function recordPollFailure(context: Context, input: RecordPollFailureInput): Promise<boolean> {
  const { db, relay, requestId } = context
  const emailAccountId = readId(input.emailAccountId, 'emailAccountId')
  const error = cleanText(input.error, MAX_ERROR_LENGTH) ?? 'unknown'
  await runAsTenant(readId(input.tenantId, 'tenantId'), () =>
    db.tenantSql.transaction(
      async (tx: Queryable) => {
        const at = now()
        await tx.query(NOTE_FAILURE, [currentTenant(), emailAccountId, input.folder, at, error])
        if (input.isRefused) await disconnectMailboxes(tx, new Map([[emailAccountId, error]]), { at, requestId })
      },
      { retries: 2 },
    ),
  )
  relay.wake()
  return true
}

function isRefused(outcome: PromiseSettledResult<unknown>): boolean {
  if (outcome.status === 'fulfilled' || !(outcome.reason instanceof AppError)) return false
  return outcome.reason.code === 'INVALID_INPUT' || outcome.reason.code === 'LIMIT_REACHED'
}

/** The cursor's foreign key: no mails came with it that would have been refused before. */
function unknownMailbox(error: unknown): never {
  if ((error as { code?: string } | null)?.code !== '23503') throw error
  throw new AppError('NOT_FOUND', 'emailAccountId: there is no such mailbox', { cause: error })
}
