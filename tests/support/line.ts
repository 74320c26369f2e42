import net from 'node:net'
import { findFreePort } from './freePort.ts'

/** A TCP line to a server, for tests in which that server cannot be reached for a while. */
export type Line = {
  port: number
  /** Ends what goes over it and takes nothing more, as if the server were gone. */
  cut(): Promise<void>
  mend(): Promise<void>
  close(): Promise<void>
}

export async function layLine(to: { host: string; port: number }): Promise<Line> {
  const ends = new Set<net.Socket>()
  const server = net.createServer((near) => {
    const far = net.connect(to)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        ends.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  // One that the system gives to nobody while the line is cut.
  const port = await findFreePort()
  await listen(port)
  const cut = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const end of ends) end.destroy()
    await closed
  }
  return { port, cut, mend: () => listen(port), close: async () => void (server.listening && (await cut())) }
}
