import { setTimeout as sleep } from 'node:timers/promises'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerEnvelope, type SMTPServerSession } from 'smtp-server'
import type { Log } from '#platform/log.ts'
import { listenPatiently } from '#platform/patientListen.ts'
import { answerFor, answerForAll, comeLater, makeRefusal, type Refusal, unknownMailbox } from './answers.ts'
import type { Fate, MailToDeliver } from './delivery.ts'
import { type MailRoom, NoRoom } from './heldMail.ts'
import type { DoorMetrics, MailOutcome } from './metrics.ts'
import type { Recipient } from './recipients.ts'

export type MailServerOptions = {
  protocol: 'smtp' | 'lmtp'
  name: string
  maxConnections: number
  maxMessageBytes: number
  idleMs: number
  mailMs: number
  room: MailRoom
  metrics: DoorMetrics
  log: Log
  find: (address: string) => Promise<Recipient | null>
  deliver: (mail: MailToDeliver) => Promise<Fate[]>
}

/** As many as RFC 5321 has every server take. */
const MAX_RECIPIENTS = 100
/** Unknown recipients after which a client is no sender, but one that tries out names. */
const MAX_UNKNOWN = 20
const TICK_MS = 20

/** The door's SMTP or LMTP side. Receives for mailboxes that `find` finds and for nobody else; nobody can log in. */
export class MailServer {
  readonly #options: MailServerOptions
  readonly #server: SMTPServer
  /** The mailboxes of the recipients that a mail was accepted for, by their address as the server keeps it. */
  readonly #promised = new WeakMap<SMTPServerEnvelope, Map<string, Recipient>>()
  readonly #unknown = new WeakMap<SMTPServerSession, number>()
  /** Ids of sessions with a mail under way. */
  readonly #busy = new Set<string>()

  constructor(options: MailServerOptions) {
    this.#options = options
    this.#server = new SMTPServer({
      name: options.name,
      lmtp: options.protocol === 'lmtp',
      // What would let a client log in, see more than its own mail, or only costs.
      disabledCommands: ['AUTH', 'STARTTLS', 'VRFY', 'WIZ', 'SHELL', 'KILL'],
      disableReverseLookup: true,
      hideENHANCEDSTATUSCODES: false,
      logger: false,
      size: options.maxMessageBytes,
      rejectOversized: true,
      maxClients: options.maxConnections,
      maxRecipients: MAX_RECIPIENTS,
      socketTimeout: options.idleMs,
      onRcptTo: ({ address }, session, answer) => {
        void this.#promise(address, session).then(answer)
      },
      onData: (stream, session, answer) => {
        void this.#receive(stream, session).then((refusal) => {
          if (Array.isArray(refusal)) answer(null, refusal)
          else answer(refusal)
        })
      },
    })
    // One client's broken connection; without a listener it would end the process.
    this.#server.on('error', (error) => options.log.debug({ err: error }, 'an SMTP connection failed'))
  }

  get connections(): number {
    return this.#server.connections.size
  }

  /** @throws Error that says which port is taken */
  listen(host: string, port: number): Promise<void> {
    return listenPatiently(this.#server.server, { host, port, setting: 'SMTP_PORT' })
  }

  /** Takes no new mail; what is under way may end until the deadline. Resolves when every client is gone. */
  async close(deadlineMs: number): Promise<void> {
    const { server } = this.#server
    if (!server.listening) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    const deadline = Date.now() + deadlineMs
    while (this.#busy.size > 0 && Date.now() < deadline) {
      this.#dismiss(({ id }) => !this.#busy.has(id))
      await sleep(TICK_MS)
    }
    // An answer just given is still on its way out.
    await sleep(TICK_MS)
    this.#dismiss(() => true)
    await Promise.race([closed, sleep(500, undefined, { ref: false })])
  }

  #dismiss(isMeant: (connection: { id: string }) => boolean): void {
    for (const connection of [...this.#server.connections]) {
      if (isMeant(connection)) connection.send(421, 'the server is shutting down')
    }
  }

  async #promise(address: string, session: SMTPServerSession): Promise<Refusal | null> {
    const { find, metrics, log } = this.#options
    const { envelope } = session
    try {
      const recipient = await find(address)
      metrics.countRecipient(recipient ? 'accepted' : 'unknown')
      if (!recipient) return this.#refuseUnknown(session)
      const promised = this.#promised.get(envelope) ?? new Map<string, Recipient>()
      this.#promised.set(envelope, promised.set(address, recipient))
      return null
    } catch (error) {
      metrics.countRecipient('later')
      log.warn({ err: error }, 'a recipient could not be looked up')
      return comeLater()
    }
  }

  #refuseUnknown(session: SMTPServerSession): Refusal {
    const count = (this.#unknown.get(session) ?? 0) + 1
    this.#unknown.set(session, count)
    // The server hangs up by itself after a 421.
    return count > MAX_UNKNOWN ? makeRefusal(421, 'too many unknown recipients') : unknownMailbox()
  }

  /** One refusal or none for the mail; in LMTP an answer for each recipient. */
  async #receive(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
  ): Promise<Refusal | null | (Refusal | string)[]> {
    const { protocol, metrics, mailMs } = this.#options
    const startedAt = performance.now()
    this.#busy.add(session.id)
    const tooLate = setTimeout(() => this.#dismiss(({ id }) => id === session.id), mailMs)
    try {
      const fates = await this.#takeIn(stream, session, () => clearTimeout(tooLate))
      const refusal = answerForAll(fates)
      metrics.countMail(outcomeOf(refusal), startedAt)
      return protocol === 'lmtp' ? fates.map((fate) => answerFor(fate) ?? 'stored') : refusal
    } catch (error) {
      if (error instanceof NoRoom) {
        metrics.countMail('later', startedAt)
        return makeRefusal(452, error.message)
      }
      metrics.countMail('dropped', startedAt)
      return comeLater()
    } finally {
      clearTimeout(tooLate)
      this.#busy.delete(session.id)
    }
  }

  async #takeIn(stream: SMTPServerDataStream, session: SMTPServerSession, onRead: () => void): Promise<Fate[]> {
    const { room, deliver } = this.#options
    const { mailFrom, rcptTo } = session.envelope
    const promised = this.#promised.get(session.envelope)
    const recipients = rcptTo.flatMap(({ address }) => promised?.get(address) ?? [])
    if (recipients.length !== rcptTo.length) throw new Error('a recipient was accepted without a mailbox')
    const raw = await room.read(stream)
    onRead()
    try {
      if (stream.sizeExceeded) return recipients.map(() => 'refused')
      return await deliver({ raw, sender: mailFrom ? mailFrom.address : '', recipients })
    } finally {
      room.release(raw.length)
    }
  }
}

function outcomeOf(refusal: Refusal | null): MailOutcome {
  if (refusal === null) return 'stored'
  return refusal.responseCode >= 500 ? 'refused' : 'later'
}
