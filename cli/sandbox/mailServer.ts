import type { Socket } from 'node:net'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Log } from '#platform/log.ts'
import type { Reception } from './behaviours.ts'
import type { World } from './world.ts'

const REFUSALS: Partial<Record<Reception, { code: number; message: string }>> = {
  greylist: { code: 451, message: '4.7.1 Greylisted, try again later' },
  refuse: { code: 550, message: '5.1.1 There is no such recipient' },
  defer: { code: 450, message: '4.2.1 The mailbox is busy' },
}

type Outcome = 'taken' | { code: number; message: string } | 'hang' | 'hang up'

/**
 * The mail servers of the world, all in one: every domain ends here, and none of it goes on to anywhere. `close` hangs up
 * on everybody.
 */
export function makeMailServer(world: World, log: Log): { server: SMTPServer; close: () => Promise<void> } {
  /** How a session's recipients are to be treated once the mail comes. */
  const receptions = new WeakMap<SMTPServerSession['envelope'], Map<string, Reception>>()
  const server: SMTPServer = new SMTPServer({
    name: 'mx.sandbox.test',
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    // Whoever tests how long the platform waits wants to see its patience end, not ours.
    socketTimeout: 10 * 60_000,
    onRcptTo({ address }, session, answer) {
      const recipient = address.toLowerCase()
      const { envelope } = session
      const reception = world.receive(senderOf(session), recipient)
      if (reception === 'hang') return
      const refusal = REFUSALS[reception]
      if (refusal) return answer(makeError(refusal))
      const own = receptions.get(envelope) ?? new Map<string, Reception>()
      receptions.set(envelope, own.set(recipient, reception))
      answer()
    },
    onData(stream, session, answer) {
      const own = receptions.get(session.envelope) ?? new Map()
      takeIn(stream, session, own)
        .then((outcome) => {
          if (outcome === 'hang') return
          if (outcome === 'hang up') return hangUp(session)
          answer(outcome === 'taken' ? null : makeError(outcome))
        })
        .catch((error: unknown) => {
          log.warn({ err: error }, 'a mail could not be taken')
          answer(makeError({ code: 451, message: '4.3.0 The mail could not be taken' }))
        })
    },
  })
  server.on('error', (error) => log.debug({ err: error }, 'an SMTP connection failed'))
  // Not the server's own list: it forgets who said QUIT, though such a client can stay on the line.
  const sockets = new Set<Socket>()
  server.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const close = async () => {
    if (!server.server.listening) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    await closed
  }

  async function takeIn(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    own: ReadonlyMap<string, Reception>,
  ): Promise<Outcome> {
    const sender = senderOf(session)
    const has = (reception: Reception) => [...own.values()].includes(reception)
    const chunks: Buffer[] = []
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (has('dropData')) return 'hang up'
      chunks.push(chunk)
    }
    if (has('hangData')) return 'hang'
    if (has('rejectData')) return { code: 554, message: '5.7.1 The mail is not wanted' }
    const raw = Buffer.concat(chunks)
    for (const recipient of own.keys()) await world.take(raw, sender, recipient)
    return has('dropAccepted') ? 'hang up' : 'taken'
  }

  function hangUp({ id }: SMTPServerSession): void {
    for (const connection of server.connections) if (connection.id === id) connection._socket.destroy()
  }
  return { server, close }
}

function senderOf({ envelope }: SMTPServerSession): string {
  return envelope.mailFrom ? envelope.mailFrom.address.toLowerCase() : ''
}

function makeError({ code, message }: { code: number; message: string }): Error {
  return Object.assign(new Error(message), { responseCode: code })
}
