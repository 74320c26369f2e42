import { createSocket } from 'node:dgram'

/** What a name says: texts of TXT records, `10 mx.example` of MX records, addresses of version 4. */
export type DnsZone = Record<string, { TXT?: string[]; MX?: string[]; A?: string[] }>

/** A DNS server on this machine that tells what is in `zone`, which may change; others' names it does not know. */
export type DnsServer = {
  /** `127.0.0.1:5353` */
  address: string
  zone: DnsZone
  /** Names that it refuses to speak about, as a server that fails does. */
  broken: Set<string>
  stop(): Promise<void>
}

const TYPES = { TXT: 16, MX: 15, A: 1 } as const
const DATA = { TXT: txtData, MX: mxData, A: (text: string) => Buffer.from(text.split('.').map(Number)) }
const NAME_ERROR = 3
const SERVER_FAILURE = 2

export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4')
  const zone: DnsZone = {}
  const broken = new Set<string>()
  socket.on('message', (question, { port, address }) => {
    socket.send(answer(question, zone, broken), port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${socket.address().port}`,
    zone,
    broken,
    stop: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

function answer(question: Buffer, zone: DnsZone, broken: ReadonlySet<string>): Buffer {
  const { name, end } = readName(question)
  const type = question.readUInt16BE(end)
  const kind = type === TYPES.MX ? 'MX' : type === TYPES.A ? 'A' : 'TXT'
  const records = zone[name]
  const texts = (type === TYPES[kind] && records?.[kind]) || []
  const code = broken.has(name) ? SERVER_FAILURE : records ? 0 : NAME_ERROR
  const header = Buffer.alloc(12)
  question.copy(header, 0, 0, 2)
  header.writeUInt16BE(0x8180 | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(code ? 0 : texts.length, 6)
  const answers = code ? [] : texts.map((text) => resource(type, DATA[kind](text)))
  return Buffer.concat([header, question.subarray(12, end + 4), ...answers])
}

/** The name asked for, in lower case, and where it ends. */
function readName(message: Buffer): { name: string; end: number } {
  const labels: string[] = []
  let place = 12
  for (let length = message.readUInt8(place); length > 0; length = message.readUInt8(place)) {
    labels.push(message.toString('latin1', place + 1, place + 1 + length))
    place += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), end: place + 1 }
}

function resource(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12)
  // Its name is the one in the question.
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(1, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

/** In pieces of at most 255 bytes, as every DNS server cuts it. */
function txtData(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  const pieces = Array.from({ length: Math.ceil(bytes.length / 255) }, (_, n) => bytes.subarray(n * 255, n * 255 + 255))
  return Buffer.concat(pieces.flatMap((piece) => [Buffer.from([piece.length]), piece]))
}

function mxData(text: string): Buffer {
  const [priority = '0', host = ''] = text.split(' ')
  const labels = host.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')])
  const head = Buffer.alloc(2)
  head.writeUInt16BE(Number(priority))
  return Buffer.concat([head, ...labels, Buffer.from([0])])
}
