import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { AppError } from '#platform/errors.ts'
import { makeLog } from '#platform/log.ts'
import { openVault } from '#platform/vault.ts'
import { MailboxReader } from '../../../subgraphs/queue/imap/mailboxReader.ts'
import { makeFindServer } from '../../../subgraphs/queue/mailServerPlace.ts'
import { pollMailboxes } from '../../../subgraphs/queue/tasks/pollMailboxes.ts'
import { makeMail } from '../../support/mails.ts'
import { IMAP_PASSWORD, IMAP_USER, type ImapServer, startImapServer, startOddServer } from './imapServer.ts'
import { answerTo, messageRow, sendMail } from './inboxMails.ts'
import { type OltpTier, SERVICE, startOltpTier, userOf } from './oltpTier.ts'
import { foundTenant, type Workspace } from './workspace.ts'

const vaultFolder = mkdtempSync(path.join(tmpdir(), 'penguinmails-vault-'))
const vault = openVault(`file:${vaultFolder}`)
const readerOptions = { vault, maxBytes: 100_000, findServer: makeFindServer({ allowsInside: true }) }
const patient = new MailboxReader(readerOptions)
/** Soon done with a server that does not answer. */
const hasty = new MailboxReader({
  ...readerOptions,
  timeouts: { connect: 1_000, greeting: 1_000, silence: 5_000, whole: 60_000 },
})

let tier: OltpTier
let server: ImapServer
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier({ content: true })
  rival = await foundTenant(tier)
})
beforeEach(async () => {
  server = await startImapServer()
  demo = await foundTenant(tier)
  await vault.put(`mailboxes/${demo.slug}`, IMAP_PASSWORD)
  await connect({ port: server.port })
})
afterEach(async () => {
  await tier.db.system.emailAccount.updateMany({ where: { tenantId: demo.tenantId }, data: { imapSettings: {} } })
  await server.close()
})
afterAll(async () => {
  await tier?.stop()
  rmSync(vaultFolder, { recursive: true, force: true })
})

/** Says how the demo tenant's mailbox is read. */
async function connect({ port, ...more }: { port: number; vaultKeyPath?: string | null; user?: string }) {
  const { vaultKeyPath = `mailboxes/${demo.slug}`, user = IMAP_USER } = more
  const imapSettings = { host: '127.0.0.1', port, secure: false, user }
  await tier.db.system.emailAccount.updateMany({ where: { id: demo.mailboxId }, data: { imapSettings, vaultKeyPath } })
}

type Mutation = (query: string) => void

/** Runs the job once, with the tier as it would be asked over the graph; `before` may fail a call. */
async function poll(before: Mutation = () => {}, mailboxes = patient) {
  const request = async (query: string, variables: object = {}) => {
    before(query)
    const { data, errors } = await tier.ask(query, variables, SERVICE)
    const [error] = errors ?? []
    if (error) throw new AppError(error.extensions.code as 'INTERNAL', error.message)
    return data
  }
  const services = { oltp: { request }, mailboxes } as unknown as Parameters<typeof pollMailboxes.run>[1]['services']
  const context = { services, signal: new AbortController().signal, log: makeLog('worker', 'silent'), report: () => {} }
  await pollMailboxes.run([], context)
}

const received = (workspace = demo) =>
  tier.db.system.inboxMessageRef.findMany({
    where: { tenantId: workspace.tenantId, direction: 'inbound' },
    orderBy: { subject: 'asc' },
  })
const cursor = () => tier.db.system.imapCursor.findFirst({ where: { tenantId: demo.tenantId } })
const mailbox = () => tier.db.system.emailAccount.findFirstOrThrow({ where: { id: demo.mailboxId } })
const mail = (subject: string, body?: string) =>
  Buffer.from(makeMail({ headers: { Subject: subject, To: `sales@${demo.domain}` }, ...(body && { body }) }), 'base64')

describe('polling', () => {
  test('takes in what is new, once, and leaves the mailbox as it was', async () => {
    server.deliver(mail('One'))
    server.deliver(mail('Two'))
    await poll()
    expect((await received()).map(({ subject, emailAccountId }) => [subject, emailAccountId])).toEqual([
      ['One', demo.mailboxId],
      ['Two', demo.mailboxId],
    ])
    expect(await cursor()).toMatchObject({ folder: 'INBOX', uidValidity: 1n, lastUid: 2n, lastError: null })
    server.deliver(mail('Three'))
    await poll()
    await poll()
    expect((await received()).map(({ subject }) => subject)).toEqual(['One', 'Three', 'Two'])
    expect(await cursor()).toMatchObject({ lastUid: 3n, polledAt: expect.any(Date) })
    expect(server.flags().flat()).not.toContain('\\Seen')
    expect(await received(rival)).toEqual([])
  })

  test('lets a reply that comes so stop the campaign', async () => {
    const id = await sendMail(tier, demo)
    server.deliver(Buffer.from(answerTo(id, demo), 'base64'))
    await poll()
    expect((await messageRow(tier, id)).status).toBe('replied')
  })

  test('takes mail in batches, and passes over what is too large or empty', async () => {
    for (let n = 0; n < 45; n += 1) server.deliver(mail(`Mail ${String(n).padStart(2, '0')}`))
    server.deliver(mail('Huge', 'x'.repeat(150_000)))
    server.deliver(mail('Last'))
    const calls: string[] = []
    await poll((query) => calls.push(query.slice(0, 26)))
    expect(await received()).toHaveLength(46)
    expect((await cursor())?.lastUid).toBe(47n)
    // Three batches, and the word that this is all.
    expect(calls.filter((call) => call.startsWith('mutation RecordPolledMails'))).toHaveLength(4)
  })

  test('looks back a month at first, and no further', async () => {
    server.deliver(mail('Old'), 40)
    server.deliver(mail('Young'), 3)
    await poll()
    await poll()
    expect((await received()).map(({ subject }) => subject)).toEqual(['Young'])
    expect((await cursor())?.lastUid).toBe(2n)
  })

  test('begins anew when the server numbers the folder anew, and stores nothing twice', async () => {
    for (const subject of ['One', 'Two', 'Three']) server.deliver(mail(subject))
    await poll()
    server.renumber()
    server.deliver(mail('Four'))
    await poll()
    expect((await received()).map(({ subject }) => subject)).toEqual(['Four', 'One', 'Three', 'Two'])
    expect(await cursor()).toMatchObject({ uidValidity: 2n, lastUid: 4n })
  })

  test('that breaks off before or after mail was stored goes on where it was, and loses and doubles nothing', async () => {
    for (let n = 0; n < 30; n += 1) server.deliver(mail(`Mail ${n}`))
    let calls = 0
    await poll((query) => {
      if (query.includes('recordPolledMails') && ++calls === 2) throw new AppError('UNAVAILABLE', 'the tier is away')
    })
    expect(await received()).toHaveLength(20)
    expect((await cursor())?.lastUid).toBe(20n)
    // Stored, but the cursor was not moved: as after a crash in between.
    await tier.db.system.imapCursor.updateMany({ where: { tenantId: demo.tenantId }, data: { lastUid: 5n } })
    await poll()
    expect(await received()).toHaveLength(30)
    expect((await cursor())?.lastUid).toBe(30n)
  })

  test('of a mailbox that is paused or suspended goes on: people still write to it', async () => {
    for (const status of ['paused', 'suspended']) {
      await tier.db.system.emailAccount.updateMany({ where: { id: demo.mailboxId }, data: { status } })
      server.deliver(mail(status))
      await poll()
    }
    expect((await received()).map(({ subject }) => subject)).toEqual(['paused', 'suspended'])
  })
})

describe('a mailbox that cannot be read', () => {
  test('because of its password is disconnected, and its owner is told once', async () => {
    await vault.put(`mailboxes/${demo.slug}.imap`, 'wrong password')
    await poll()
    await poll()
    expect(await mailbox()).toMatchObject({
      status: 'disconnected',
      pausedReason: expect.stringContaining('did not accept the password'),
    })
    const events = await tier.announced(demo.tenantId)
    expect(events.map(({ eventType, payload }) => [eventType, payload])).toEqual([
      ['audit.recorded', expect.objectContaining({ action: 'emailAccount.disconnect', resourceId: demo.mailboxId })],
      ['notification.requested', expect.objectContaining({ userId: demo.userId, type: 'mailbox_disconnected' })],
    ])
    expect(JSON.stringify(events)).not.toContain('wrong password')
  })

  test('because nothing says its password is disconnected as well', async () => {
    await connect({ port: server.port, vaultKeyPath: null })
    await poll()
    expect((await mailbox()).status).toBe('disconnected')
  })

  test.each([
    ['does not answer', () => {}],
    ['hangs up', (socket: { destroy(): void }) => socket.destroy()],
    ['speaks something else', (socket: { write(text: string): void }) => socket.write('220 smtp.example ESMTP\r\n')],
  ])('because its server %s stays connected, with a note, and holds nobody up', async (_name, handle) => {
    const odd = await startOddServer(handle as never)
    await connect({ port: odd.port })
    const begun = Date.now()
    await poll(undefined, hasty)
    expect(Date.now() - begun).toBeLessThan(10_000)
    expect((await mailbox()).status).toBe('active')
    expect(await cursor()).toMatchObject({
      uidValidity: null,
      lastError: expect.any(String),
      polledAt: expect.any(Date),
    })
    await odd.close()
    await connect({ port: server.port })
    server.deliver(mail('At last'))
    await poll()
    expect(await received()).toHaveLength(1)
    expect(await cursor()).toMatchObject({ lastError: null, lastUid: 1n })
  })

  test('fails alone', async () => {
    const other = await foundTenant(tier)
    await vault.put(`mailboxes/${other.slug}`, 'wrong')
    const imapSettings = { host: '127.0.0.1', port: server.port, secure: false, user: IMAP_USER }
    const data = { imapSettings, vaultKeyPath: `mailboxes/${other.slug}` }
    await tier.db.system.emailAccount.updateMany({ where: { id: other.mailboxId }, data })
    server.deliver(mail('One'))
    await poll()
    expect(await received()).toHaveLength(1)
    expect((await mailbox()).status).toBe('active')
    expect(await received(other)).toEqual([])
  })
})

describe('what a worker asks', () => {
  const RECORD = 'mutation ($input: RecordPolledMailsInput!) { recordPolledMails(input: $input) { stored } }'
  const input = () => ({
    ...{ tenantId: demo.tenantId, emailAccountId: demo.mailboxId, folder: 'INBOX', uidValidity: 1, lastUid: 1 },
    mails: [{ uid: 1, raw: makeMail() }],
  })
  const ask = async (variables: object, as = SERVICE) =>
    (await tier.ask(RECORD, { input: { ...input(), ...variables } }, as)).errors?.[0]?.extensions.code

  test('is refused to users, for another tenant’s mailbox, and for too much; nothing is written', async () => {
    expect(await ask({}, userOf(demo.tenantId))).toBe('FORBIDDEN')
    expect(await ask({ emailAccountId: rival.mailboxId })).toBe('NOT_FOUND')
    expect(await ask({ emailAccountId: rival.mailboxId, mails: [] })).toBe('NOT_FOUND')
    expect(await ask({ emailAccountId: uuidv7() })).toBe('NOT_FOUND')
    expect(await ask({ mails: Array.from({ length: 51 }, () => ({ uid: 1, raw: 'eA==' })) })).toBe('LIMIT_REACHED')
    expect([await received(), await received(rival), await cursor()]).toEqual([[], [], null])
    const list = await tier.ask('{ mailboxesToPoll(first: 1) { email } }', {}, userOf(demo.tenantId))
    expect(list.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  })
})
