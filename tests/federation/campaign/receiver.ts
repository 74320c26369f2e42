import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A mail as a server took it. */
export type TakenMail = { from: string; to: string; text: string; at: number }

/** A mail server of the outside world, which takes what it is given and writes it down. */
export type Receiver = {
  port: number
  taken: TakenMail[]
  close(): Promise<void>
}

/** What the server does other than take everything; `answer` an Error with `responseCode` to refuse. */
export type ReceiverOptions = {
  onRecipient?: (address: string) => Error | null | undefined
  /** Called when the text has come whole, before it is answered. */
  onText?: (mail: TakenMail) => Promise<Error | null | undefined> | Error | null | undefined
  /** Who may sign in; nobody has to unless given. */
  accounts?: Record<string, string>
}

export async function startReceiver({ onRecipient, onText, accounts }: ReceiverOptions = {}): Promise<Receiver> {
  const taken: TakenMail[] = []
  const options: SMTPServerOptions = {
    disabledCommands: ['STARTTLS', ...(accounts ? [] : ['AUTH'])],
    authOptional: !accounts,
    allowInsecureAuth: true,
    logger: false,
    onAuth({ username = '', password = '' }, _session, callback) {
      if (accounts?.[username] === password) callback(null, { user: username })
      else callback(Object.assign(new Error('5.7.8 wrong password'), { responseCode: 535 }))
    },
    onRcptTo({ address }, _session, callback) {
      callback(onRecipient?.(address) ?? null)
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', async () => {
        const { mailFrom, rcptTo } = session.envelope
        const mail = {
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo[0]?.address ?? '',
          text: Buffer.concat(chunks).toString('utf8'),
          at: Date.now(),
        }
        const refusal = await onText?.(mail)
        if (refusal) return callback(refusal)
        taken.push(mail)
        callback(null)
      })
    },
  }
  const server = new SMTPServer(options)
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.server.address() as AddressInfo).port,
    taken,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** An answer that refuses. */
export function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}
