import { once } from 'node:events'
import net from 'node:net'
import { createInterface } from 'node:readline'

/** A client that speaks SMTP by hand: for what no mail program would say, or not say. */
export type SmtpTalk = {
  socket: net.Socket
  /** Sends a line and answers with the last line of the reply; '' when the server hung up. */
  say(line: string): Promise<string>
  /** Sends bytes and waits for nothing. */
  write(bytes: string | Buffer): void
  /** The next reply. */
  hear(): Promise<string>
  /** Resolves when the server has hung up. */
  ended: Promise<unknown>
}

/** Connects and hears the greeting out; with an envelope, says everything up to DATA's go-ahead. */
export async function talkSmtp(port: number, envelope?: { from?: string; to: string[] }): Promise<SmtpTalk> {
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => {})
  const ended = new Promise((resolve) => socket.once('close', resolve))
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  const hear = async (): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) return ''
      if (/^\d{3} /.test(value)) return value
    }
  }
  const write = (bytes: string | Buffer) => void socket.write(bytes)
  const say = (line: string) => {
    write(`${line}\r\n`)
    return hear()
  }
  await hear()
  if (envelope) {
    await say('EHLO test.example')
    await say(`MAIL FROM:<${envelope.from ?? 'someone@elsewhere.example'}>`)
    for (const to of envelope.to) await say(`RCPT TO:<${to}>`)
    await say('DATA')
  }
  return { socket, say, write, hear, ended }
}
