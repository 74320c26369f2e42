import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { imapSecretPath } from '#platform/contracts/mailServers.ts'
import { openVault, type Vault } from '#platform/vault.ts'
import { makeFindServer } from '../../../subgraphs/queue/mailServerPlace.ts'
import { guardText } from '../../../subgraphs/queue/sending/guardedText.ts'
import { SmtpLines } from '../../../subgraphs/queue/sending/smtpLines.ts'
import { type CuriousServer, startCuriousServer } from '../../support/mailServer.ts'
import { makeAsk } from './asking.ts'
import { foundLaunchable } from './launchable.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import type { Workspace } from './workspace.ts'

let tier: OltpTier
let vault: Vault
let workspace: Workspace
let rival: Workspace
let own: CuriousServer
let strange: CuriousServer
let lines: SmtpLines
let emailAccountId: string

beforeAll(async () => {
  tier = await startOltpTier()
  vault = openVault(`file:${tier.vaultFolder}`)
  rival = await foundLaunchable(tier)
})
afterAll(() => tier?.stop())
beforeEach(async () => {
  ;[own, strange] = [await startCuriousServer(), await startCuriousServer()]
  const timeouts = { connect: 20_000, greeting: 20_000, silence: 20_000 }
  lines = new SmtpLines({ vault, timeouts, findServer: makeFindServer({ allowsInside: true }) })
  workspace = await foundLaunchable(tier)
  emailAccountId = (await create()).id
})
afterEach(async () => {
  lines.close()
  await Promise.all([own.close(), strange.close()])
})

const ask = makeAsk(
  () => tier,
  () => workspace,
  'manager',
)
const at = (server: CuriousServer, more: object = {}) => ({
  ...{ host: '127.0.0.1', port: server.port, secure: false, user: 'ada', ...more },
})

async function create(more: object = {}) {
  const input = { domainId: workspace.domainId, localPart: 'ada', smtp: at(own), smtpPassword: 'old secret', ...more }
  const text =
    'mutation ($input: CreateEmailAccountInput!) { createEmailAccount(input: $input) { emailAccount { id } } }'
  return (await ask(text, { input })).value.emailAccount as { id: string }
}

function update(input: object, asked?: Workspace) {
  const text =
    'mutation ($input: UpdateEmailAccountInput!) { updateEmailAccount(input: $input) { emailAccount { status } } }'
  return ask(text, { input: { emailAccountId, ...input } }, asked)
}

/** Sends a mail from the mailbox as it is now. */
async function send(): Promise<void> {
  const row = await tier.db.system.emailAccount.findFirstOrThrow({ where: { id: emailAccountId } })
  const { email: fromEmail, vaultKeyPath, smtpSettings } = row
  const line = await lines.of({ emailAccountId, fromEmail, vaultKeyPath, smtpSettings })
  await line.send({ from: fromEmail, to: 'lee@b.example' }, () =>
    guardText(Buffer.from('\r\nHi\r\n'), async () => true),
  )
}

test('a password kept for one server is never sent to another', async () => {
  await send()
  expect(own).toMatchObject({ passwords: ['old secret'], taken: ['lee@b.example'] })
  const before = await tier.db.system.emailAccount.findFirstOrThrow({ where: { id: emailAccountId } })
  for (const smtp of [
    at(strange),
    at(own, { host: 'localhost' }),
    at(own, { secure: true }),
    at(own, { user: 'eve' }),
    at(own, { user: null }),
  ]) {
    const told = await update({ smtp })
    expect([smtp, told.code]).toEqual([smtp, 'INVALID_INPUT'])
    expect(told.message).toMatch(/^smtpPassword/)
  }
  expect((await update({ smtp: at(strange) }, rival)).code).toBe('NOT_FOUND')
  expect(await tier.db.system.emailAccount.findFirstOrThrow({ where: { id: emailAccountId } })).toEqual(before)
  await send()
  // Nor by way of having none in between.
  expect((await update({ smtp: null })).code).toBeUndefined()
  expect((await update({ smtp: at(strange) })).code).toBe('INVALID_INPUT')
  expect(strange.connections()).toBe(0)

  expect((await update({ smtp: at(strange), smtpPassword: 'new secret' })).code).toBeUndefined()
  await send()
  expect(strange).toMatchObject({ passwords: ['new secret'], taken: ['lee@b.example'] })
  expect(own.passwords.every((password) => password === 'old secret')).toBe(true)
})

test('the same server may be named again without the password, and another password given without the server', async () => {
  expect((await update({ smtp: at(own), displayName: 'Ada' })).code).toBeUndefined()
  await send()
  expect((await update({ smtpPassword: 'new secret' })).code).toBeUndefined()
  await send()
  expect(own.passwords).toEqual(['old secret', 'new secret'])
})

test('nor is the password for reading, or the one that serves for both, taken to another server', async () => {
  const imap = { host: '192.0.2.7', port: 993, user: 'ada' }
  // Nothing was read with it so far, but it is the one for sending.
  expect((await update({ imap })).message).toMatch(/^imapPassword/)
  expect((await update({ imap, smtpPassword: 'both' })).code).toBeUndefined()
  expect((await update({ imap: { ...imap, host: '192.0.2.8' } })).message).toMatch(/^imapPassword/)
  expect((await update({ imap, imapPassword: 'for reading' })).code).toBeUndefined()
  // A new one for sending would leave the old one for reading in its place.
  expect((await update({ imap: { ...imap, host: '192.0.2.8' }, smtpPassword: 'x' })).message).toMatch(/^imapPassword/)
  const { vaultKeyPath } = await tier.db.system.emailAccount.findFirstOrThrow({ where: { id: emailAccountId } })
  expect(await vault.read(imapSecretPath(vaultKeyPath ?? ''))).toBe('for reading')
  expect((await update({ imap: { ...imap, host: '192.0.2.8' }, imapPassword: 'y' })).code).toBeUndefined()
  expect((await update({ imap: null })).code).toBeUndefined()
})
