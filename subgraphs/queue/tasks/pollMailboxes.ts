import { z } from 'zod'
import { AppError } from '#platform/errors.ts'
import type { TaskContext } from '../engine/task.ts'
import { type FetchedMails, MailboxRefused, type MailboxToRead } from '../imap/mailboxReader.ts'
import { defineTask, type TaskServices } from './services.ts'

const FIND = `query MailboxesToPoll($first: Int!) { mailboxesToPoll(first: $first) {
  tenantId emailAccountId email vaultKeyPath imapSettings folder uidValidity lastUid } }`
const RECORD = `mutation RecordPolledMails($input: RecordPolledMailsInput!) {
  recordPolledMails(input: $input) { stored refused } }`
const RECORD_FAILURE = `mutation RecordPollFailure($input: RecordPollFailureInput!) { recordPollFailure(input: $input) }`

const MAILBOXES_PER_RUN = 1_000
const MAILBOXES_AT_ONCE = 10
/** Storing a batch of large mails takes its time. */
const STORE_TIMEOUT_MS = 60_000

type Polled = Omit<MailboxToRead, 'uidValidity' | 'lastUid'> & {
  tenantId: string
  emailAccountId: string
  uidValidity: number | string | null
  lastUid: number | string
}

/**
 * Fetches what came into mailboxes that are read by IMAP, and hands it to the oltp tier, which moves a mailbox's cursor
 * once it is stored. A mailbox that fails fails alone; however many jobs wait for this, once is enough.
 */
export const pollMailboxes = defineTask({
  jobType: 'pollMailboxes',
  queueName: 'infrastructure-monitoring',
  payload: z.object({}),
  batch: { size: 100, lingerMs: 0 },
  concurrency: 1,
  async run(_items, context) {
    const { services, signal } = context
    const variables = { first: MAILBOXES_PER_RUN }
    const { mailboxesToPoll } = await services.oltp.request<{ mailboxesToPoll: Polled[] }>(FIND, variables)
    const waiting = mailboxesToPoll.values()
    const pollSome = async () => {
      for (const mailbox of waiting) {
        if (signal.aborted) return
        await pollMailbox(mailbox, context)
      }
    }
    await Promise.all(Array.from({ length: MAILBOXES_AT_ONCE }, pollSome))
    return undefined
  },
})

async function pollMailbox(mailbox: Polled, { services, signal, log }: TaskContext<TaskServices>): Promise<void> {
  const { tenantId, emailAccountId, folder, uidValidity, lastUid } = mailbox
  const place = { tenantId, emailAccountId, folder }
  const known = { ...mailbox, uidValidity: uidValidity === null ? null : BigInt(uidValidity), lastUid: BigInt(lastUid) }
  try {
    await services.mailboxes.read(known, { signal, take: (batch) => record(services, place, batch) })
  } catch (error) {
    // Ours, not the mailbox's: it is read again from where it was.
    if (error instanceof AppError || signal.aborted) {
      log.warn({ err: error, tenant: tenantId, mailbox: emailAccountId }, 'a mailbox was not read to its end')
      return
    }
    const failure = { ...place, error: (error as Error).message, isRefused: error instanceof MailboxRefused }
    await services.oltp.request(RECORD_FAILURE, { input: failure }).catch((cause) => {
      log.warn({ err: cause, tenant: tenantId, mailbox: emailAccountId }, 'a failed look into a mailbox is not noted')
    })
  }
}

type Place = { tenantId: string; emailAccountId: string; folder: string }

async function record({ oltp }: TaskServices, place: Place, batch: FetchedMails): Promise<void> {
  const mails = batch.mails.map(({ uid, raw }) => ({ uid: String(uid), raw: raw.toString('base64') }))
  const input = { ...place, uidValidity: String(batch.uidValidity), lastUid: String(batch.lastUid), mails }
  await oltp.request(RECORD, { input }, { timeoutMs: STORE_TIMEOUT_MS })
}
