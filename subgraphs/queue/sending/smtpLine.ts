import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js'
import type { FindServer } from '../mailServerPlace.ts'
import type { GuardedText } from './guardedText.ts'
import type { SmtpSettings } from './smtpSettings.ts'

export type Envelope = { from: string; to: string }
export type Credentials = { user: string; pass: string }

/** How long the other server may take: to be reached, to greet, and to say anything at all later; milliseconds. */
export type SmtpTimeouts = { connect: number; greeting: number; silence: number }

/** A connection that nobody uses is ended. */
const IDLE_MS = 10_000

/** A server that was not reached is left alone for a while: whoever else wants it need not wait for the same. */
const PAUSE_MS = 10_000

type Connection = { smtp: SMTPConnection; messages: number; isNew: boolean; idle?: NodeJS.Timeout }

/** A mailbox's connections to its server: opened when needed, used again, so many at once. */
export class SmtpLine {
  readonly #settings: SmtpSettings
  readonly #credentials: Credentials | null
  readonly #timeouts: SmtpTimeouts
  readonly #findServer: FindServer
  readonly #idle: Connection[] = []
  readonly #waiting: (() => void)[] = []
  #open = 0
  #pausedUntil = 0
  #pausedBy: Error | undefined
  #isClosed = false

  constructor(options: {
    settings: SmtpSettings
    credentials: Credentials | null
    timeouts: SmtpTimeouts
    findServer: FindServer
  }) {
    this.#settings = options.settings
    this.#credentials = options.credentials
    this.#timeouts = options.timeouts
    this.#findServer = options.findServer
  }

  /** Whether it does nothing and holds nothing. */
  get isIdle(): boolean {
    return this.#open === 0 && this.#waiting.length === 0
  }

  /**
   * Sends one mail; answers what the server said when it took it.
   * @param makeText called for each try: a connection that was dropped while it was idle is replaced once
   * @throws SmtpError; ServerForbidden
   */
  async send(envelope: Envelope, makeText: () => GuardedText): Promise<string> {
    await this.#takePlace()
    try {
      const connection = await this.#connection()
      const text = makeText()
      try {
        return await this.#sendOver(connection, envelope, text)
      } catch (error) {
        const wasDropped = (error as { code?: string }).code === 'ECONNECTION' && !connection.isNew
        // Whoever hung up before it asked for the text has none of it.
        if (!wasDropped || text.wasAsked()) throw error
        return await this.#sendOver(await this.#connect(), envelope, makeText())
      }
    } finally {
      this.#givePlace()
    }
  }

  close(): void {
    this.#isClosed = true
    for (const connection of this.#idle.splice(0)) this.#end(connection)
  }

  async #takePlace(): Promise<void> {
    if (this.#open >= this.#settings.maxConnections) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#open += 1
  }

  /** Hands the place over, or gives it up. */
  #givePlace(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#open -= 1
  }

  async #connection(): Promise<Connection> {
    const idle = this.#idle.pop()
    if (!idle) return this.#connect()
    clearTimeout(idle.idle)
    idle.isNew = false
    return idle
  }

  async #connect(): Promise<Connection> {
    if (Date.now() < this.#pausedUntil) throw this.#pausedBy ?? new Error('the server was not reached a moment ago')
    const { host, port, secure, requireTls } = this.#settings
    const { address, servername, isInside } = await this.#findServer(host)
    const smtp = new SMTPConnection({
      ...{ host: address, port, ...(secure !== undefined && { secure }), ...(servername && { tls: { servername } }) },
      // Whoever stands between could leave the offer of STARTTLS out, and read the password.
      requireTLS: requireTls || (this.#credentials !== null && !isInside),
      connectionTimeout: this.#timeouts.connect,
      greetingTimeout: this.#timeouts.greeting,
      socketTimeout: this.#timeouts.silence,
      dnsTimeout: this.#timeouts.connect,
    })
    const connection = { smtp, messages: 0, isNew: true }
    try {
      await untilEnd<void>(smtp, (done) => smtp.connect((error) => done(error)))
      const credentials = this.#credentials
      // Not among the types: whether the server offers to sign in.
      if (credentials && (smtp as unknown as { allowsAuth: boolean }).allowsAuth) {
        await untilEnd<void>(smtp, (done) => smtp.login({ credentials }, (error) => done(error ?? undefined)))
      }
    } catch (error) {
      smtp.close()
      // Its own refusal is another matter than not being there.
      if ((error as { code?: string }).code !== 'EAUTH') {
        this.#pausedUntil = Date.now() + PAUSE_MS
        this.#pausedBy = error as Error
      }
      throw error
    }
    return connection
  }

  async #sendOver(connection: Connection, envelope: Envelope, { stream }: GuardedText): Promise<string> {
    const { smtp } = connection
    try {
      const response = await untilEnd<string>(smtp, (done) => {
        smtp.send({ from: envelope.from, to: [envelope.to] }, stream, (error, info) => {
          // Of a refused envelope nodemailer would read the text all the same.
          if (error) stream.destroy()
          done(error ?? undefined, info?.response)
        })
      })
      this.#keep(connection)
      return response
    } catch (error) {
      stream.destroy()
      const { command } = error as { command?: string }
      // After a refusal the server still listens.
      if (command === 'RCPT TO' || command === 'MAIL FROM') await this.#reset(connection)
      else smtp.close()
      throw error
    }
  }

  async #reset(connection: Connection): Promise<void> {
    try {
      await untilEnd<void>(connection.smtp, (done) => connection.smtp.reset((error) => done(error ?? undefined)))
      this.#keep(connection)
    } catch {
      connection.smtp.close()
    }
  }

  #keep(connection: Connection): void {
    connection.messages += 1
    if (this.#isClosed || connection.messages >= this.#settings.maxMessages) {
      this.#end(connection)
      return
    }
    const leave = () => {
      const index = this.#idle.indexOf(connection)
      if (index < 0) return
      clearTimeout(connection.idle)
      this.#idle.splice(index, 1)
    }
    connection.smtp.removeAllListeners('error').removeAllListeners('end')
    connection.smtp.on('error', leave)
    connection.smtp.once('end', leave)
    connection.idle = setTimeout(() => {
      leave()
      this.#end(connection)
    }, IDLE_MS)
    this.#idle.push(connection)
  }

  #end({ smtp, idle }: Connection): void {
    clearTimeout(idle)
    smtp.on('error', () => {})
    smtp.quit()
    // A server that does not say goodbye is left without.
    setTimeout(() => smtp.close(), 1_000).unref()
  }
}

/** The outcome of one step, or the connection's end, whichever comes first: nodemailer calls back for its own errors only. */
function untilEnd<Result>(
  smtp: SMTPConnection,
  step: (done: (error: Error | undefined, result?: Result) => void) => void,
): Promise<Result> {
  return new Promise<Result>((resolve, reject) => {
    const settle = (act: () => void) => {
      smtp.removeListener('error', fail)
      smtp.removeListener('end', ended)
      // One more error after the outcome is nobody's.
      smtp.on('error', () => {})
      act()
    }
    const fail = (error: Error) => settle(() => reject(error))
    const ended = () => fail(Object.assign(new Error('the connection was closed'), { code: 'ECONNECTION' }))
    smtp.once('error', fail)
    smtp.once('end', ended)
    step((error, result) => (error ? fail(error) : settle(() => resolve(result as Result))))
  })
}
