import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { openVault } from '#platform/vault.ts'
import { MailboxReader, MailboxRefused } from '../../../subgraphs/queue/imap/mailboxReader.ts'
import { type FindServer, makeFindServer, ServerForbidden } from '../../../subgraphs/queue/mailServerPlace.ts'
import { guardText } from '../../../subgraphs/queue/sending/guardedText.ts'
import { SmtpLines } from '../../../subgraphs/queue/sending/smtpLines.ts'
import { type DnsServer, startDnsServer } from '../../support/dnsServer.ts'
import { type CuriousServer, startCuriousServer } from '../../support/mailServer.ts'
import { startOddServer } from '../oltp/imapServer.ts'

const vaultFolder = mkdtempSync(path.join(tmpdir(), 'penguinmails-vault-'))
const vault = openVault(`file:${vaultFolder}`)
const SMTP_TIMEOUTS = { connect: 10_000, greeting: 10_000, silence: 10_000 }
const IMAP_TIMEOUTS = { ...SMTP_TIMEOUTS, whole: 30_000 }

let dns: DnsServer
let server: CuriousServer
let strict: FindServer
let lenient: FindServer
/** The server as one of the outside world: what is tried here never leaves this machine. */
const asOutside: FindServer = async (host) => ({ address: '127.0.0.1', servername: host, isInside: false })

beforeAll(async () => {
  await vault.put('mailboxes/a', 'open sesame')
  dns = await startDnsServer()
  strict = makeFindServer({ allowsInside: false, dnsServers: [dns.address] })
  lenient = makeFindServer({ allowsInside: true, dnsServers: [dns.address] })
  dns.zone['home.example'] = { A: ['127.0.0.1'] }
})
afterAll(async () => {
  await dns?.stop()
  rmSync(vaultFolder, { recursive: true, force: true })
})
beforeEach(async () => {
  server = await startCuriousServer()
})
afterEach(() => server.close())

type Sending = { host: string; port?: number; secure?: boolean; vaultKeyPath?: string | null }

async function send(findServer: FindServer, sending: Sending): Promise<string> {
  const { host, port = server.port, secure = false, vaultKeyPath = 'mailboxes/a' } = sending
  const lines = new SmtpLines({ vault, timeouts: SMTP_TIMEOUTS, findServer })
  try {
    const smtpSettings = { host, port, secure, user: 'ada' }
    const line = await lines.of({ emailAccountId: 'a', fromEmail: 'ada@a.example', vaultKeyPath, smtpSettings })
    const text = () => guardText(Buffer.from('Subject: Hello\r\n\r\nHello\r\n'), async () => true)
    return await line.send({ from: 'ada@a.example', to: 'lee@b.example' }, text)
  } finally {
    lines.close()
  }
}

describe('a server whose name leads into our own networks', () => {
  test.each([
    ['this machine', ['127.0.0.1']],
    ['a private network', ['10.1.2.3']],
    ['what a cloud tells its machines', ['169.254.169.254']],
    ['this machine, among others', ['192.0.2.7', '127.0.0.1']],
  ])('is not connected to: %s', async (_where, addresses) => {
    dns.zone['mail.sly.example'] = { A: addresses }
    await expect(strict('mail.sly.example')).rejects.toBeInstanceOf(ServerForbidden)
    await expect(send(strict, { host: 'mail.sly.example' })).rejects.toThrow('mail.sly.example is not a public server')
    expect(server.connections()).toBe(0)
  })

  test('is connected to where that is allowed, by the address that was looked at', async () => {
    expect(await send(lenient, { host: 'home.example' })).toMatch(/^250/)
    expect(server.taken).toEqual(['lee@b.example'])
    // Inside a password may go unencrypted.
    expect(server.passwords).toEqual(['open sesame'])
    expect(await lenient('home.example')).toEqual({
      ...{ address: '127.0.0.1', servername: 'home.example', isInside: true },
    })
  })

  test('is refused for reading, too, and its mailbox is told so', async () => {
    const reader = new MailboxReader({ vault, timeouts: IMAP_TIMEOUTS, findServer: strict })
    const reading = reader.read(mailbox({ host: 'home.example', port: server.port, secure: false }), LOOK)
    await expect(reading).rejects.toBeInstanceOf(MailboxRefused)
    await expect(reading).rejects.toThrow('home.example is not a public server')
    expect(server.connections()).toBe(0)
  })
})

test('addresses inside are refused as they are, in each way they can be written; public ones are found', async () => {
  for (const host of [
    '127.0.0.1',
    '::1',
    '::ffff:10.0.0.1',
    'fe80::1',
    'fd00:ec2::254',
    '168.63.129.16',
    '2002:7f00:1::',
  ]) {
    await expect(strict(host)).rejects.toBeInstanceOf(ServerForbidden)
  }
  for (const address of ['192.0.2.1', '2001:db8::1']) {
    expect(await strict(address)).toEqual({ address, servername: undefined, isInside: false })
  }
  dns.zone['mail.fair.example'] = { A: ['192.0.2.7'] }
  expect(await strict('mail.fair.example')).toEqual({
    ...{ address: '192.0.2.7', servername: 'mail.fair.example', isInside: false },
  })
  await expect(strict('nowhere.example')).rejects.toMatchObject({ code: 'ENOTFOUND' })
})

describe('a server outside', () => {
  test('that offers no STARTTLS is told no password, and gets no mail', async () => {
    await expect(send(asOutside, { host: 'mail.fair.example' })).rejects.toMatchObject({ code: 'ETLS' })
    expect(server).toMatchObject({ passwords: [], taken: [] })
    expect(server.connections()).toBe(1)
  })

  test('that wants no password may be sent to unencrypted', async () => {
    expect(await send(asOutside, { host: 'mail.fair.example', vaultKeyPath: null })).toMatch(/^250/)
    expect(server.taken).toEqual(['lee@b.example'])
  })

  test.each([
    ['from the first byte', { secure: true }],
    ['by STARTTLS', { offersTls: true }],
  ])('shows a certificate for its name, asked for %s; another one gets nothing', async (_how, options) => {
    const other = await startCuriousServer(options)
    const sending = { host: 'mail.fair.example', port: other.port, secure: 'secure' in options }
    await expect(send(asOutside, sending)).rejects.toThrow(/self-signed|certificate/)
    expect(other).toMatchObject({ servernames: ['mail.fair.example'], passwords: [], taken: [] })
    await other.close()
  })

  test('that is read and offers no STARTTLS is told no password either', async () => {
    const heard: string[] = []
    const odd = await startOddServer((socket) => {
      socket.write('* OK [CAPABILITY IMAP4rev1] ready\r\n')
      socket.on('data', (data) => {
        heard.push(String(data))
        const [tag, command = ''] = String(data).split(' ')
        const told = command.trim().toUpperCase() === 'CAPABILITY' ? '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n' : ''
        socket.write(`${told}${tag} OK done\r\n`)
      })
    })
    const reader = new MailboxReader({ vault, timeouts: IMAP_TIMEOUTS, findServer: asOutside })
    const reading = reader.read(mailbox({ host: 'mail.fair.example', port: odd.port, secure: false }), LOOK)
    await expect(reading).rejects.toThrow(/STARTTLS/)
    expect(heard.join('')).not.toMatch(/LOGIN|AUTHENTICATE|sesame/)
    await odd.close()
  })
})

const LOOK = { take: async () => {}, signal: new AbortController().signal }

function mailbox(imapSettings: { host: string; port: number; secure: boolean }) {
  return {
    ...{ email: 'ada@a.example', vaultKeyPath: 'mailboxes/a', folder: 'INBOX', uidValidity: null, lastUid: 0n },
    imapSettings: { ...imapSettings, user: 'ada' },
  }
}
