import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A mail server on this machine that takes everything and everybody, and remembers who came. */
export type CuriousServer = {
  port: number
  /** Passwords that it was told. */
  passwords: string[]
  /** Connections that it had. */
  connections(): number
  /** Names that certificates were asked of, by TLS. */
  servernames: string[]
  /** Recipients of the mails it took. */
  taken: string[]
  close(): Promise<void>
}

/** @param options `secure`: TLS from the first byte; `offersTls`: STARTTLS; its certificate is nobody's in any case */
export async function startCuriousServer({ secure = false, offersTls = false } = {}): Promise<CuriousServer> {
  const passwords: string[] = []
  const servernames: string[] = []
  const taken: string[] = []
  let connections = 0
  const options: SMTPServerOptions = {
    ...{ secure, authOptional: true, allowInsecureAuth: true, logger: false },
    disabledCommands: offersTls ? [] : ['STARTTLS'],
    SNICallback(servername, callback) {
      servernames.push(servername)
      callback(null, undefined)
    },
    onAuth({ username, password }, _session, callback) {
      passwords.push(password ?? '')
      callback(null, { user: username })
    },
    onData(stream, { envelope }, callback) {
      stream.resume()
      stream.on('end', () => {
        taken.push(...envelope.rcptTo.map(({ address }) => address))
        callback(null)
      })
    },
  }
  const server = new SMTPServer(options)
  server.on('error', () => {})
  server.server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.server.address() as AddressInfo).port,
    ...{ passwords, servernames, taken, connections: () => connections },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
