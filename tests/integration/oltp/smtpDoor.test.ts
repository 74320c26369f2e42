import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createTransport } from 'nodemailer'
import pg from 'pg'
import { parseConfig } from '#platform/config.ts'
import { buildSmtpDoor } from '../../../subgraphs/oltp/smtpDoor/app.ts'
import { smtpDoorConfig } from '../../../subgraphs/oltp/smtpDoor/config.ts'
import { eventually } from '../../support/eventually.ts'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { type Line, layLine } from '../../support/line.ts'
import { makeBounce, makeMail } from '../../support/mails.ts'
import { talkSmtp } from '../../support/smtpTalk.ts'
import { makeWorkspace, type Workspace } from './workspace.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')
const MAX_BYTES = 200_000

let platform: TestPlatform
let sql: pg.Pool
let line: Line
let demo: Workspace
let rival: Workspace
let door: ReturnType<typeof buildSmtpDoor>
let isOpen = false

beforeAll(async () => {
  platform = await startPlatform({ tiers: ['oltp', 'content'] })
  sql = new pg.Pool({ connectionString: platform.databases.oltp.systemUrl })
  const { hostname: host, port } = new URL(platform.databases.oltp.url)
  line = await layLine({ host, port: Number(port) })
  demo = await found()
  rival = await found()
}, START_TIMEOUT_MS)
afterAll(async () => {
  await sql.end()
  await line.close()
  await platform.stop()
})

beforeEach(() => openDoor())
afterEach(() => closeDoor())

/** Opens the door in this process, with its database at the end of a line that can be cut. */
async function openDoor(changes: Record<string, string> = {}) {
  const own = settings()
  const viaLine = (url = '') => url.replace(/@[^/]+\//, `@127.0.0.1:${line.port}/`)
  door = buildSmtpDoor(
    parseConfig(smtpDoorConfig, {
      ...own,
      OLTP_DATABASE_URL: viaLine(own.OLTP_DATABASE_URL),
      OLTP_SYSTEM_DATABASE_URL: viaLine(own.OLTP_SYSTEM_DATABASE_URL),
      ...changes,
    }),
  )
  isOpen = true
  await door.app.listen({ host: '127.0.0.1', port: Number(own.SMTP_DOOR_PORT) })
}

async function closeDoor() {
  if (isOpen) await door.close()
  isOpen = false
}

async function reopen(changes: Record<string, string>) {
  await closeDoor()
  await openDoor(changes)
}

function settings(): Record<string, string> {
  return { ...platform.settings.smtpDoor, MAX_MESSAGE_BYTES: String(MAX_BYTES), SMTP_DOOR_NAME: 'mx.test.example' }
}

const smtpPort = () => Number(platform.settings.smtpDoor.SMTP_PORT)

async function found(verificationStatus = 'VERIFIED'): Promise<Workspace> {
  const workspace = makeWorkspace()
  const domains = workspace.input.domains.map((domain) => ({ ...domain, verificationStatus }))
  const query = 'mutation ($input: ProvisionTenantInput!) { provisionTenant(input: $input) { created } }'
  await platform.tierClient('oltp').request(query, { input: { ...workspace.input, domains } })
  return workspace
}

/** Sends as a mail program does. Resolves with what it makes of the answers, and with its error. */
async function send(
  to: string | string[],
  raw: string | Buffer = makeMail(),
  { from = 'someone@elsewhere.example' } = {},
) {
  const transport = createTransport({ host: '127.0.0.1', port: smtpPort(), ignoreTLS: true })
  const bytes = typeof raw === 'string' ? Buffer.from(raw, 'base64') : raw
  try {
    const mail = { envelope: { from, to: [to].flat() }, raw: bytes }
    const { accepted, rejected, response } = await transport.sendMail(mail)
    return { accepted, rejected, response, code: undefined }
  } catch (error) {
    const { responseCode, response, message } = error as { responseCode?: number; response?: string; message: string }
    return { accepted: [], rejected: [], response: response ?? message, code: responseCode }
  } finally {
    transport.close()
  }
}

const mailbox = ({ domain }: Workspace) => `sales@${domain}`

async function messagesOf({ tenantId }: Workspace) {
  const { rows } = await sql.query(
    `SELECT id, email_account_id AS "mailboxId", subject, message_type AS kind, content_storage_key AS "storageKey"
     FROM inbox_message_refs WHERE tenant_id = $1 ORDER BY created_at, id`,
    [tenantId],
  )
  return rows as { id: string; mailboxId: string; subject: string; kind: string; storageKey: string }[]
}

async function countAll() {
  const { rows } = await sql.query(
    `SELECT (SELECT count(*)::int FROM inbox_message_refs) AS messages, (SELECT count(*)::int FROM outbox_events) AS events`,
  )
  return rows[0] as { messages: number; events: number }
}

async function metric(name: string): Promise<string> {
  const page = await (await fetch(`http://127.0.0.1:${settings().SMTP_DOOR_PORT}/metrics`)).text()
  return page
    .split('\n')
    .filter((text) => text.startsWith(name))
    .join('\n')
}

describe('a mail', () => {
  test('is stored in the mailbox it is addressed to by its envelope, whatever its headers say', async () => {
    const raw = makeMail({ headers: { To: mailbox(rival), Subject: 'For whom?' } })
    expect(await send(mailbox(demo), raw)).toMatchObject({ code: undefined, response: expect.stringMatching(/^250 /) })
    expect((await messagesOf(demo)).at(-1)).toMatchObject({ mailboxId: demo.mailboxId, subject: 'For whom?' })
    expect(await messagesOf(rival)).toEqual([])
  })

  test('finds a mailbox written in another case, and one that is paused', async () => {
    expect((await send(mailbox(demo).toUpperCase())).code).toBeUndefined()
    expect((await messagesOf(demo)).at(-1)?.mailboxId).toBe(demo.mailboxId)
    expect((await send(`old@${demo.domain}`)).code).toBeUndefined()
    expect((await messagesOf(demo)).at(-1)?.mailboxId).toBe(demo.pausedMailboxId)
  })

  test('is kept by the content tier as it came, with its sender above it', async () => {
    const raw = makeMail({ headers: { Subject: 'Bytes' }, body: 'Grüße.\r\n..dots\r\n.' })
    await send(mailbox(demo), raw, { from: 'Ada@elsewhere.example' })
    const [message] = (await messagesOf(demo)).slice(-1)
    const query = `query ($id: ID!) { message(id: $id) { content { rawSizeBytes text } } }`
    const subject = { kind: 'user', tenantId: demo.tenantId, userId: demo.userId, roles: ['owner'] } as const
    const { data } = await platform.ask(query, { id: message?.id }, subject)
    const above = 'Return-Path: <Ada@elsewhere.example>\r\n'
    expect(data.message.content.rawSizeBytes).toBe(Buffer.from(raw, 'base64').length + above.length)
    expect(data.message.content.text).toContain('..dots\n.')
  })

  test('to mailboxes of two tenants is stored once in each, and neither sees the other’s', async () => {
    const [before, beforeRival] = [await messagesOf(demo), await messagesOf(rival)]
    const raw = makeMail({ headers: { Subject: 'To both' } })
    const { accepted, code } = await send([mailbox(demo), mailbox(rival), `old@${demo.domain}`], raw)
    expect({ accepted: accepted.length, code }).toEqual({ accepted: 3, code: undefined })
    const [own, theirs] = [
      (await messagesOf(demo)).slice(before.length),
      (await messagesOf(rival)).slice(beforeRival.length),
    ]
    expect(own.map(({ mailboxId }) => mailboxId).sort()).toEqual([demo.mailboxId, demo.pausedMailboxId].sort())
    expect(theirs.map(({ mailboxId, subject }) => [mailboxId, subject])).toEqual([[rival.mailboxId, 'To both']])
  })

  test('that comes again is known, to the same mailbox named twice as well', async () => {
    const raw = makeMail()
    await send(mailbox(demo), raw)
    const before = await countAll()
    expect((await send([mailbox(demo), mailbox(demo).toUpperCase()], raw)).code).toBeUndefined()
    expect(await countAll()).toEqual(before)
  })

  test('from nobody is a delivery report, also when only its sender and subject say so', async () => {
    const report = { original: 'unknown@x', recipient: 'lead@customer.example', status: '5.1.1' }
    await send(mailbox(demo), makeBounce(report), { from: '' })
    expect((await messagesOf(demo)).at(-1)?.kind).toBe('bounce')
    const prose = makeMail({ headers: { Subject: 'Undeliverable: hello' }, body: '550 5.1.1 no such user' })
    await send(mailbox(demo), prose, { from: '' })
    expect((await messagesOf(demo)).at(-1)?.kind).toBe('bounce')
  })
})

describe('who is not ours', () => {
  test('gets 550 5.1.1, and the others of the same mail theirs', async () => {
    const before = await countAll()
    expect(await send(`nobody@${demo.domain}`)).toMatchObject({
      code: 550,
      response: expect.stringMatching(/^550 5\.1\.1 /),
    })
    expect(await countAll()).toEqual(before)
    const { accepted, rejected } = await send([`nobody@${demo.domain}`, mailbox(demo), 'lead@customer.example'])
    expect(accepted).toEqual([mailbox(demo)])
    expect(rejected).toEqual([`nobody@${demo.domain}`, 'lead@customer.example'])
  })

  test('is no one to relay to, and there is nothing to log in to', async () => {
    const talk = await talkSmtp(smtpPort())
    const greeting = new Promise<string>((resolve) => talk.socket.once('data', (bytes) => resolve(String(bytes))))
    await talk.say('EHLO test.example')
    const offered = await greeting
    expect(offered).toContain('250-')
    expect(offered).not.toMatch(/AUTH|STARTTLS|XCLIENT|XFORWARD/)
    expect(await talk.say('AUTH PLAIN AGEAYg==')).toMatch(/^50/)
    expect(await talk.say('MAIL FROM:<someone@elsewhere.example>')).toMatch(/^250/)
    expect(await talk.say('RCPT TO:<lead@customer.example>')).toMatch(/^550/)
    expect(await talk.say(`RCPT TO:<lead%customer.example@${demo.domain}>`)).toMatch(/^550/)
    expect(await talk.say('DATA')).toMatch(/^503/)
    talk.socket.destroy()
  })

  test('claims a mailbox of a domain that is not verified, or of somebody else’s domain: it receives nothing', async () => {
    const unverified = await found('PENDING')
    expect((await send(mailbox(unverified))).code).toBe(550)
    await sql.query('UPDATE email_accounts SET email = $3 WHERE tenant_id = $1 AND id = $2', [
      rival.tenantId,
      rival.pausedMailboxId,
      mailbox(demo),
    ])
    const before = await messagesOf(rival)
    expect((await send(mailbox(demo))).code).toBeUndefined()
    expect(await messagesOf(rival)).toEqual(before)
    await sql.query('UPDATE email_accounts SET email = $3 WHERE tenant_id = $1 AND id = $2', [
      rival.tenantId,
      rival.pausedMailboxId,
      `ceo@not-theirs.example`,
    ])
    expect((await send('ceo@not-theirs.example')).code).toBe(550)
  })

  test('is one whose mailbox or tenant is gone', async () => {
    const gone = await found()
    await sql.query('UPDATE email_accounts SET deleted_at = now() WHERE tenant_id = $1 AND id = $2', [
      gone.tenantId,
      gone.pausedMailboxId,
    ])
    expect((await send(`old@${gone.domain}`)).code).toBe(550)
    expect((await send(mailbox(gone))).code).toBeUndefined()
    await sql.query('UPDATE tenants SET deleted_at = now() WHERE id = $1', [gone.tenantId])
    expect((await send(mailbox(gone))).code).toBe(550)
  })

  test('is tried out by name no more than twenty times', async () => {
    const talk = await talkSmtp(smtpPort())
    await talk.say('EHLO test.example')
    await talk.say('MAIL FROM:<someone@elsewhere.example>')
    const replies: string[] = []
    for (let n = 0; n < 21; n++) replies.push(await talk.say(`RCPT TO:<name${n}@${demo.domain}>`))
    expect(replies.map((reply) => reply.slice(0, 3))).toEqual([...Array(20).fill('550'), '421'])
    await talk.ended
  })

  test('costs one statement a recipient to find out', async () => {
    const before = door.db.statements.total
    const talk = await talkSmtp(smtpPort())
    await talk.say('EHLO test.example')
    await talk.say('MAIL FROM:<someone@elsewhere.example>')
    for (const to of [mailbox(demo), mailbox(rival), `nobody@${demo.domain}`]) await talk.say(`RCPT TO:<${to}>`)
    expect(door.db.statements.total - before).toBe(3)
    talk.socket.destroy()
  })
})

describe('bad mail', () => {
  test('of 0 bytes is refused for good and leaves nothing', async () => {
    const before = await countAll()
    const talk = await talkSmtp(smtpPort(), { to: [mailbox(demo)] })
    expect(await talk.say('.')).toMatch(/^554 /)
    talk.socket.destroy()
    expect(await countAll()).toEqual(before)
  })

  test('over the limit is refused, announced or not, and leaves nothing; one of just the limit is taken', async () => {
    const before = await countAll()
    expect((await send(mailbox(demo), Buffer.alloc(MAX_BYTES + 1, 'a'))).code).toBe(552)
    const talk = await talkSmtp(smtpPort(), { to: [mailbox(demo)] })
    talk.write(`${'a'.repeat(900)}\r\n`.repeat(300))
    expect(await talk.say('.')).toMatch(/^552 5\.3\.4 /)
    talk.socket.destroy()
    expect(await countAll()).toEqual(before)
    const largest = Buffer.alloc(MAX_BYTES, `${'b'.repeat(498)}\r\n`)
    expect(await send(mailbox(demo), largest)).toMatchObject({ code: undefined })
    expect(await countAll()).toEqual({ messages: before.messages + 1, events: before.events + 1 })
  })

  test('whose sender hangs up before its end leaves nothing', async () => {
    const before = await countAll()
    const talk = await talkSmtp(smtpPort(), { to: [mailbox(demo)] })
    talk.write('Subject: half of it\r\n\r\nand then')
    await sleep(50)
    talk.socket.destroy()
    await eventually(
      () => metric('smtp_mail_seconds_count'),
      (text) => /outcome="dropped"[^}]*} 1$/m.test(text),
    )
    expect(await metric('smtp_held_bytes')).toMatch(/ 0$/)
    expect(await countAll()).toEqual(before)
  })

  test('of a client that says nothing is not waited for, nor one that says it letter by letter', async () => {
    await reopen({ SMTP_DOOR_IDLE_MS: '3000', SMTP_DOOR_MAIL_MS: '7000' })
    const before = await countAll()
    const [silent, slow] = [await talkSmtp(smtpPort()), await talkSmtp(smtpPort(), { to: [mailbox(demo)] })]
    const letters = setInterval(() => slow.write('a'), 100)
    const startedAt = performance.now()
    expect(await silent.hear()).toMatch(/^421 /)
    expect(await slow.hear()).toMatch(/^421 /)
    clearInterval(letters)
    // Longer than silence is borne: each letter counted.
    expect(performance.now() - startedAt).toBeGreaterThan(3_500)
    await Promise.all([silent.ended, slow.ended])
    expect(await countAll()).toEqual(before)
  })
})

describe('too much at once', () => {
  test('more clients than are allowed are turned away, and the others served', async () => {
    await reopen({ SMTP_DOOR_MAX_CONNECTIONS: '2' })
    const talks = [await talkSmtp(smtpPort()), await talkSmtp(smtpPort())]
    expect(await send(mailbox(demo))).toMatchObject({ code: 421 })
    talks[0]?.socket.destroy()
    await eventually(
      () => metric('smtp_connections'),
      (text) => text.endsWith(' 1'),
    )
    expect((await send(mailbox(demo))).code).toBeUndefined()
    talks[1]?.socket.destroy()
  })

  test('more bytes than there is room for are asked to come later', async () => {
    await reopen({ SMTP_DOOR_HELD_BYTES: '100000' })
    const first = await talkSmtp(smtpPort(), { to: [mailbox(demo)] })
    first.write(`${'a'.repeat(900)}\r\n`.repeat(80))
    await eventually(
      () => metric('smtp_held_bytes'),
      (text) => Number(text.split(' ').at(-1)) > 70_000,
    )
    expect(await send(mailbox(demo), Buffer.alloc(60_000, 'b'))).toMatchObject({ code: 452 })
    expect(await first.say('.')).toMatch(/^250 /)
    first.socket.destroy()
    expect((await send(mailbox(demo), Buffer.alloc(60_000, 'b'))).code).toBeUndefined()
    expect(await metric('smtp_held_bytes')).toMatch(/ 0$/)
  })

  test('a hundred mails from twenty clients are all there, each once', async () => {
    const before = await messagesOf(demo)
    const transport = createTransport({
      host: '127.0.0.1',
      port: smtpPort(),
      ignoreTLS: true,
      pool: true,
      maxConnections: 20,
    })
    const mails = Array.from({ length: 100 }, (_, n) => makeMail({ headers: { Subject: `Crowd ${n}` } }))
    await Promise.all(
      mails.map((raw) =>
        transport.sendMail({
          envelope: { from: 'someone@elsewhere.example', to: mailbox(demo) },
          raw: Buffer.from(raw, 'base64'),
        }),
      ),
    )
    transport.close()
    const subjects = (await messagesOf(demo)).slice(before.length).map(({ subject }) => subject)
    expect(subjects.sort()).toEqual(mails.map((_, n) => `Crowd ${n}`).sort())
  })
})

describe('when something is away', () => {
  test('the database: 451, and the repeat is stored once', async () => {
    const raw = makeMail()
    const before = await countAll()
    await line.cut()
    expect(await send(mailbox(demo), raw)).toMatchObject({
      code: 451,
      response: expect.stringMatching(/^451 4\.3\.0 /),
    })
    await line.mend()
    expect((await send(mailbox(demo), raw)).code).toBeUndefined()
    expect((await send(mailbox(demo), raw)).code).toBeUndefined()
    expect(await countAll()).toEqual({ messages: before.messages + 1, events: before.events + 1 })
  })

  test('the database, after the recipient was accepted: 451, and the repeat is stored once', async () => {
    const raw = Buffer.from(makeMail(), 'base64')
    const before = await countAll()
    const talk = await talkSmtp(smtpPort(), { to: [mailbox(demo), mailbox(rival)] })
    await line.cut()
    talk.write(raw)
    expect(await talk.say('.')).toMatch(/^451 /)
    talk.socket.destroy()
    await line.mend()
    expect(await countAll()).toEqual(before)
    expect((await send([mailbox(demo), mailbox(rival)], raw)).code).toBeUndefined()
    expect(await countAll()).toEqual({ messages: before.messages + 2, events: before.events + 2 })
  })

  test('the content tier: 451, nothing written, and the repeat is stored', async () => {
    const raw = makeMail()
    const before = await countAll()
    await platform.stopTier('content')
    expect((await send(mailbox(demo), raw)).code).toBe(451)
    expect(await countAll()).toEqual(before)
    await platform.startTier('content')
    expect((await send(mailbox(demo), raw)).code).toBeUndefined()
    expect((await countAll()).messages).toBe(before.messages + 1)
  })

  test('one of two recipients’ mailboxes, after it was accepted: the other has the mail once, whatever is repeated', async () => {
    const going = await found()
    const raw = Buffer.from(makeMail(), 'base64')
    const before = await countAll()
    const talk = await talkSmtp(smtpPort(), { to: [mailbox(going), mailbox(demo)] })
    await sql.query('UPDATE email_accounts SET deleted_at = now() WHERE tenant_id = $1', [going.tenantId])
    talk.write(raw)
    expect(await talk.say('.')).toMatch(/^451 /)
    talk.socket.destroy()
    expect((await send([mailbox(going), mailbox(demo)], raw)).rejected).toEqual([mailbox(going)])
    expect((await countAll()).messages).toBe(before.messages + 1)
  })

  test('LMTP tells each recipient its own', async () => {
    await reopen({ SMTP_DOOR_PROTOCOL: 'lmtp' })
    const going = await found()
    const talk = await talkSmtp(smtpPort())
    expect(await talk.say('EHLO test.example')).toMatch(/^500 /)
    await talk.say('LHLO test.example')
    await talk.say('MAIL FROM:<>')
    for (const to of [mailbox(going), mailbox(demo)]) await talk.say(`RCPT TO:<${to}>`)
    await sql.query('UPDATE email_accounts SET deleted_at = now() WHERE tenant_id = $1', [going.tenantId])
    await talk.say('DATA')
    talk.write('Subject: each\r\n\r\n')
    expect(await talk.say('.')).toMatch(/^550 5\.1\.1 /)
    expect(await talk.hear()).toMatch(/^250 /)
    talk.socket.destroy()
  })
})

describe('the process', () => {
  const children = new Set<ChildProcess>()
  beforeEach(() => closeDoor())
  afterEach(async () => {
    for (const child of children) {
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit')
    }
    children.clear()
  })

  const start = (changes: Record<string, string> = {}) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'subgraphs/oltp/smtpDoor.ts'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, ...settings(), ...changes },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    children.add(child)
    return child
  }
  const health = (page: string) => fetch(`http://127.0.0.1:${settings().SMTP_DOOR_PORT}${page}`).catch(() => null)
  const ready = () =>
    eventually(
      () => health('/health/ready'),
      (answer) => answer?.status === 200,
      60_000,
    )

  test('killed after a mail was stored and before its sender heard of it: the repeat adds nothing', async () => {
    const raw = Buffer.from(makeMail({ headers: { Subject: 'Killed' } }), 'base64')
    const before = await countAll()
    const first = start()
    await ready()
    const talk = await talkSmtp(smtpPort(), { to: [mailbox(demo)] })
    talk.socket.pause()
    talk.write(Buffer.concat([raw, Buffer.from('.\r\n')]))
    await eventually(countAll, ({ messages }) => messages === before.messages + 1)
    first.kill('SIGKILL')
    await once(first, 'exit')
    talk.socket.destroy()
    start()
    await ready()
    const again = await talkSmtp(smtpPort(), { to: [mailbox(demo)] })
    again.write(raw)
    expect(await again.say('.')).toMatch(/^250 /)
    again.socket.destroy()
    expect(await countAll()).toEqual({ messages: before.messages + 1, events: before.events + 1 })
  }, 180_000)

  test('killed while it writes a mail has written none of it, and the repeat is stored once', async () => {
    const raw = makeMail()
    const before = await countAll()
    const first = start()
    await ready()
    const lock = await sql.connect()
    await lock.query('BEGIN')
    await lock.query('LOCK TABLE outbox_events IN EXCLUSIVE MODE')
    const talk = await talkSmtp(smtpPort(), { to: [mailbox(demo)] })
    talk.write(Buffer.from(raw, 'base64'))
    talk.write('.\r\n')
    const waiting = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    await eventually(
      () => lock.query(waiting),
      ({ rowCount }) => Number(rowCount) > 0,
    )
    first.kill('SIGKILL')
    await once(first, 'exit')
    await lock.query('ROLLBACK')
    lock.release()
    start()
    await ready()
    expect(await countAll()).toEqual(before)
    expect((await send(mailbox(demo), raw)).code).toBeUndefined()
    expect(await countAll()).toEqual({ messages: before.messages + 1, events: before.events + 1 })
  }, 180_000)

  test('answers the mail that is under way at SIGTERM, takes no other, and leaves in good order', async () => {
    const child = start()
    await ready()
    expect(await (await health('/metrics'))?.text()).toContain('smtp_held_bytes')
    const [idle, busy] = [await talkSmtp(smtpPort()), await talkSmtp(smtpPort(), { to: [mailbox(demo)] })]
    busy.write('Subject: Last words\r\n\r\n')
    const before = await countAll()
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await idle.hear()).toMatch(/^421 /)
    await expect(talkSmtp(smtpPort())).rejects.toThrow('ECONNREFUSED')
    busy.write('and no more.\r\n')
    expect(await busy.say('.')).toMatch(/^250 /)
    expect(await gone).toEqual([0, null])
    expect((await countAll()).messages).toBe(before.messages + 1)
    expect((await messagesOf(demo)).at(-1)?.subject).toBe('Last words')
  }, 120_000)

  test('says which port is taken when it cannot listen', async () => {
    const holder = await layLine({ host: '127.0.0.1', port: 1 })
    const child = start({ SMTP_PORT: String(holder.port) })
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    expect(await once(child, 'close')).toEqual([1, null])
    expect(said).toContain(`SMTP_PORT ${holder.port} on 127.0.0.1 is taken by another process`)
    await holder.close()
  }, 60_000)
})
