import net from 'node:net'

/** Stands between a pool and PostgreSQL and counts what passes. */
export type WireTap = {
  /** The same connection string, by way of the tap. */
  url: string
  /** Round trips so far: how often the server said that it is ready for the next message. */
  roundTrips(): number
  close(): Promise<void>
}

const READY_FOR_QUERY = 'Z'.charCodeAt(0)

/** Opens a tap in front of the server of a connection string. */
export async function openWireTap(databaseUrl: string): Promise<WireTap> {
  const target = new URL(databaseUrl)
  const sockets = new Set<net.Socket>()
  let ready = 0
  const tap = net.createServer((client) => {
    const server = net.connect({ host: target.hostname, port: Number(target.port) })
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => [client, server].forEach((end) => void end.destroy()))
    }
    const count = countMessages(READY_FOR_QUERY, () => ready++)
    client.pipe(server)
    server.on('data', count)
    server.pipe(client)
  })
  await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve))
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${(tap.address() as net.AddressInfo).port}`
  return {
    url: url.href,
    roundTrips: () => ready,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => tap.close(() => resolve()))
    },
  }
}

/** Walks the server's messages (a type byte, a length, a body) across the chunks they arrive in. */
function countMessages(type: number, found: () => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 5) {
      const length = 1 + rest.readUInt32BE(1)
      if (rest.length < length) return
      if (rest[0] === type) found()
      rest = rest.subarray(length)
    }
  }
}
