import { AppError } from '#platform/errors.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { GroupCommit } from '#platform/groupCommit.ts'
import type { Log } from '#platform/log.ts'
import type { Vault } from '#platform/vault.ts'
import { type FindServer, ServerForbidden } from '../mailServerPlace.ts'
import { classifyFailure, isAnswered, type SendOutcome, type SmtpError } from './classify.ts'
import { guardText } from './guardedText.ts'
import { type DkimOrder, signMail } from './signMail.ts'
import type { SmtpTimeouts } from './smtpLine.ts'
import { type LineOrder, MailboxUnusable, SmtpLines } from './smtpLines.ts'

/** One attempt to send a mail: what the oltp tier calls it by. */
export type SendAttempt = { tenantId: string; messageId: string; attempt: number }

/** A mail with all that sending it takes. */
export type MailToSend = SendAttempt & {
  order: LineOrder & { toEmail: string; dkim: DkimOrder | null }
  raw: Buffer
}

type Ended = { outcome: SendOutcome; response: string | null }

const OPEN =
  'mutation OpenAcceptWindows($attempts: [SendAttemptInput!]!) { openAcceptWindows(input: { attempts: $attempts }) }'
const FINISH = `mutation FinishSending($mails: [FinishedMailInput!]!) {
  finishSending(input: { mails: $mails }) { messageId status stale } }`

type FinishAnswer = { status: string; stale: boolean }

/** What may go well the next time: the tier is away, or its transaction was undone once too often. */
const MAY_PASS = new Set(['UNAVAILABLE', 'INTERNAL'])

const MAILS_PER_CALL = 100
const FINISH_PAUSE_MS = 500

/** Hands mails to their servers, and tells the oltp tier of each step before and after it. */
export class MailSender {
  readonly #vault: Vault
  readonly #log: Log
  readonly #lines: SmtpLines
  readonly #windows: GroupCommit<SendAttempt, boolean>
  readonly #endings: GroupCommit<SendAttempt & Ended, FinishAnswer>

  constructor(options: {
    oltp: ServiceClient
    vault: Vault
    log: Log
    findServer: FindServer
    timeouts: SmtpTimeouts
  }) {
    const { oltp, vault, log, findServer, timeouts } = options
    this.#vault = vault
    this.#log = log
    this.#lines = new SmtpLines({ vault, timeouts, findServer })
    const isEverybodys = (error: unknown) => error instanceof AppError && error.code === 'UNAVAILABLE'
    this.#windows = new GroupCommit({
      maxItems: MAILS_PER_CALL,
      isEverybodys,
      run: async (_, attempts) => {
        return (await oltp.request<{ openAcceptWindows: boolean[] }>(OPEN, { attempts })).openAcceptWindows
      },
    })
    this.#endings = new GroupCommit({
      maxItems: MAILS_PER_CALL,
      isEverybodys,
      run: async (_, mails) => (await oltp.request<{ finishSending: FinishAnswer[] }>(FINISH, { mails })).finishSending,
    })
  }

  /**
   * Sends one mail and has its outcome written; answers what it is then. What became of it is told until it is heard:
   * nobody else knows. Only an aborted signal ends that, or an answer that says it is told wrongly.
   */
  async send(mail: MailToSend, signal: AbortSignal): Promise<FinishAnswer & { outcome: SendOutcome }> {
    const ended = await this.#attempt(mail)
    const { tenantId, messageId, attempt } = mail
    const said = await this.#tell({ tenantId, messageId, attempt, ...ended }, signal)
    return { outcome: ended.outcome, ...said }
  }

  close(): void {
    this.#lines.close()
  }

  async #attempt({ order, raw, tenantId, messageId, attempt }: MailToSend): Promise<Ended> {
    let text: ReturnType<typeof guardText> | undefined
    try {
      const line = await this.#lines.of(order)
      const bytes = order.dkim ? await signMail(raw, order.dkim, this.#vault) : raw
      const open = () => this.#windows.submit('all', { tenantId, messageId, attempt })
      const response = await line.send({ from: order.fromEmail, to: order.toEmail }, () => {
        text = guardText(bytes, open)
        return text
      })
      return { outcome: 'SENT', response }
    } catch (error) {
      const failure = error as SmtpError
      const response = failure.response ?? failure.message
      if (error instanceof MailboxUnusable || error instanceof ServerForbidden)
        return { outcome: 'AUTH_FAILED', response }
      if (text?.wasRefused()) return { outcome: 'ABORTED', response: null }
      if (text?.wasGiven() && !isAnswered(failure)) return { outcome: 'UNKNOWN', response }
      const outcome = classifyFailure(failure)
      this.#log.info({ message: messageId, outcome, response }, 'a mail was not taken')
      return { outcome, response }
    }
  }

  async #tell(ended: SendAttempt & Ended, signal: AbortSignal): Promise<FinishAnswer> {
    for (;;) {
      try {
        return await this.#endings.submit('all', ended)
      } catch (error) {
        if (signal.aborted || !(error instanceof AppError) || !MAY_PASS.has(error.code)) throw error
        await new Promise((resolve) => setTimeout(resolve, FINISH_PAUSE_MS))
      }
    }
  }
}
