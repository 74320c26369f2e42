import { now } from '#platform/clock.ts'
import type { Log } from '#platform/log.ts'
import type { Agenda } from './agenda.ts'
import type { Answering } from './answering.ts'
import { decideReception, planMail, type ReactionKind, type Reception } from './behaviours.ts'
import type { Ledger, ReactionEnd } from './ledger.ts'
import type { Rates } from './rates.ts'
import { type ReceivedMail, readReceivedMail } from './receivedMail.ts'
import type { RecentMails } from './recentMails.ts'
import { makeAutoReply, makeReply } from './replies.ts'
import { makeBounceReport, makeFeedbackReport } from './reports.ts'
import { NobodyThere, type Visitor } from './visits.ts'

export type WorldOptions = {
  seed: string
  rates: Rates
  agenda: Agenda
  ledger: Ledger
  recent: RecentMails
  visitor: Visitor
  answering: Answering
  log: Log
}

const ATTEMPTS = 8
const FIRST_PAUSE_MS = 250

/** Everybody whom the platform writes to. */
export class World {
  readonly #options: WorldOptions
  /** Senders that a recipient's server has seen: `sender recipient`. */
  readonly #seen = new Set<string>()
  /** The mails a recipient has, by Message-ID, in the order in which they came. */
  readonly #mails = new Map<string, Set<string>>()

  constructor(options: WorldOptions) {
    this.#options = options
  }

  /** How a recipient's server answers a sender. Whom it does not know yet it knows from now on. */
  receive(sender: string, recipient: string): Reception {
    const { seed, rates, ledger } = this.#options
    const reception = decideReception(seed, recipient, rates)
    if (reception === 'accept') return 'accept'
    if (reception === 'greylist') {
      const pair = `${sender} ${recipient}`
      if (this.#seen.has(pair)) return 'accept'
      this.#seen.add(pair)
    }
    ledger.countReception(recipient, reception)
    return reception
  }

  /** Takes a mail for a recipient and plans what comes of it; of one that it has already, nothing comes. */
  async take(raw: Buffer, sender: string, recipient: string): Promise<void> {
    const { seed, rates, agenda, ledger, recent } = this.#options
    const mail = await readReceivedMail({ raw, sender, recipient, receivedAt: now() })
    const { messageId, subject, receivedAt } = mail
    const mails = this.#mails.get(recipient) ?? new Set()
    this.#mails.set(recipient, mails)
    const isRepeat = messageId !== null && mails.has(messageId)
    recent.keep({ recipient, sender, messageId, subject, receivedAt, isRepeat, raw })
    if (isRepeat) {
      ledger.countRepeat(recipient)
      return
    }
    mails.add(messageId ?? `no id ${mails.size}`)
    // Its number, not its Message-ID, which the platform makes anew in every run: the n-th mail to a recipient meets
    // the same in each of them.
    const plan = planMail(seed, { recipient, key: String(mails.size) }, rates)
    const kinds = plan.reactions.map(({ kind }) => kind)
    ledger.countMail(recipient, plan.fate, kinds)
    let before: Promise<void> = Promise.resolve()
    for (const { kind, afterMs } of plan.reactions) {
      agenda.add(new Date(receivedAt.getTime() + afterMs), () => {
        // One after the other, also when they are due at once: nobody follows a link before looking.
        before = before.then(() => this.#react(kind, mail))
        return before
      })
    }
  }

  async #react(kind: ReactionKind, mail: ReceivedMail): Promise<void> {
    try {
      await this.#attempt(kind, mail, await this.#prepare(kind, mail), 1)
    } catch (error) {
      this.#giveUp(kind, mail, error)
    }
  }

  /** What is sent is made once: an attempt that is repeated brings the same bytes. */
  async #prepare(kind: ReactionKind, mail: ReceivedMail): Promise<() => Promise<ReactionEnd>> {
    const { seed, visitor, answering } = this.#options
    switch (kind) {
      case 'open':
      case 'proxyOpen':
      case 'prefetch':
      case 'scan':
      case 'click':
      case 'unsubscribe':
        return () => visitor[kind](mail)
      case 'hardBounce':
      case 'softBounce': {
        const report = await makeBounceReport(mail, kind === 'hardBounce' ? 'hard' : 'soft', seed)
        return () => answering.send(report)
      }
      case 'complaint': {
        const report = await makeFeedbackReport(mail)
        return () => answering.send(report)
      }
      case 'reply': {
        const reply = await makeReply(mail, seed)
        return () => answering.send(reply)
      }
      case 'autoReply': {
        const reply = await makeAutoReply(mail)
        return () => answering.send(reply)
      }
    }
  }

  async #attempt(
    kind: ReactionKind,
    mail: ReceivedMail,
    perform: () => Promise<ReactionEnd>,
    attempt: number,
  ): Promise<void> {
    const { agenda, ledger } = this.#options
    try {
      ledger.countReaction(mail.recipient, kind, await perform())
    } catch (error) {
      if (!(error instanceof NobodyThere) || attempt === ATTEMPTS) {
        this.#giveUp(kind, mail, error)
        return
      }
      agenda.addIn(FIRST_PAUSE_MS * 2 ** (attempt - 1), () => this.#attempt(kind, mail, perform, attempt + 1))
    }
  }

  #giveUp(kind: ReactionKind, mail: ReceivedMail, error: unknown): void {
    const { ledger, log } = this.#options
    ledger.countReaction(mail.recipient, kind, 'failed')
    log.warn({ err: error, kind }, 'a reaction came to nothing')
  }
}
