import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
// @ts-expect-error it comes without types
import hoodiecrow from 'hoodiecrow-imap'

/** A real IMAP server in this process, with one user and one folder. */
export type ImapServer = {
  port: number
  /** Puts a mail into INBOX; `daysAgo` is when the server got it. */
  deliver(raw: Buffer, daysAgo?: number): void
  /** Numbers INBOX anew, as a server does that was restored from a backup. */
  renumber(): void
  /** Flags of each mail in INBOX. */
  flags(): string[][]
  close(): Promise<void>
}

export const IMAP_USER = 'reader'
export const IMAP_PASSWORD = 'right password'

export async function startImapServer(): Promise<ImapServer> {
  const server = hoodiecrow({
    plugins: ['ID', 'ENABLE', 'LITERALPLUS', 'UNSELECT', 'SASL-IR', 'AUTH-PLAIN', 'NAMESPACE'],
    users: { [IMAP_USER]: { password: IMAP_PASSWORD } },
    storage: { INBOX: { messages: [] } },
  })
  const sockets = new Set<Socket>()
  server.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const inbox = server.folderCache.INBOX
  return {
    port: (server.server.address() as AddressInfo).port,
    deliver(raw, daysAgo = 0) {
      const at = new Date(Date.now() - daysAgo * 86_400_000)
      const [, day, month, year] = /^\w+, (\d+) (\w+) (\d+)/.exec(at.toUTCString()) ?? []
      server.appendMessage(
        'INBOX',
        [],
        `${day}-${month}-${year} ${at.toUTCString().slice(17, 25)} +0000`,
        raw.toString('latin1'),
      )
    },
    renumber() {
      inbox.uidvalidity += 1
      for (const [index, message] of inbox.messages.entries()) message.uid = index + 1
      inbox.uidnext = inbox.messages.length + 1
    },
    flags: () => inbox.messages.map(({ flags }: { flags: string[] }) => flags),
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A server that takes connections and does with them what it is told. */
export async function startOddServer(handle: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    handle(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
