import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { AppError } from '#platform/errors.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { makeLog } from '#platform/log.ts'
import { openVault } from '#platform/vault.ts'
import { makeFindServer } from '../../../subgraphs/queue/mailServerPlace.ts'
import { MailSender } from '../../../subgraphs/queue/sending/mailSender.ts'
import { type DnsServer, startDnsServer } from '../../support/dnsServer.ts'
import { type CuriousServer, startCuriousServer } from '../../support/mailServer.ts'
import { type OltpTier, startOltpTier } from './oltpTier.ts'
import { begin, launch, mailsOf, makeSendingWorld, planAll, setNow, WORKER } from './sendingWorld.ts'

let tier: OltpTier
let dns: DnsServer
let server: CuriousServer
beforeAll(async () => {
  tier = await startOltpTier({ content: true })
  dns = await startDnsServer()
  server = await startCuriousServer()
})
afterAll(async () => {
  await tier?.stop()
  await dns?.stop()
  await server?.close()
})
afterEach(() => setClock({ speed: 1, originAt: 0 }))

const MONDAY = '2026-11-23T09:00:00.000Z'

/** The oltp tier as a worker asks it. */
const oltp = {
  async request(query: string, variables: object = {}) {
    const { data, errors } = await tier.ask(query, variables, WORKER)
    if (errors?.[0]) throw new AppError(errors[0].extensions.code as 'INTERNAL', errors[0].message)
    return data
  },
} as unknown as ServiceClient

async function sendOne(allowsInside: boolean) {
  setNow(MONDAY)
  const world = await makeSendingWorld(tier, { leads: 1, mailboxes: 1 })
  const { tenantId } = world
  const vault = openVault(`file:${tier.vaultFolder}`)
  await vault.put(`mailboxes/${world.slug}`, 'open sesame')
  const smtpSettings = { host: 'mail.sly.example', port: server.port, secure: false, user: 'ada' }
  const mailbox = { smtpSettings, vaultKeyPath: `mailboxes/${world.slug}` }
  await tier.db.system.emailAccount.updateMany({ where: { tenantId }, data: mailbox })
  await launch(tier, world, new Date(MONDAY))
  await planAll(tier, world)
  const [mail] = await mailsOf(tier, tenantId)
  setNow(mail?.scheduledAt ?? MONDAY)
  const [begun] = await begin(tier, tenantId, [mail?.id ?? ''])
  const findServer = makeFindServer({ allowsInside, dnsServers: [dns.address] })
  const timeouts = { connect: 20_000, greeting: 20_000, silence: 20_000 }
  const sender = new MailSender({ oltp, vault, log: makeLog('worker', 'silent'), findServer, timeouts })
  const order = { ...mailbox, emailAccountId: mail?.emailAccountId ?? '', fromEmail: 'ada@a.example' }
  const { outcome } = await sender.send(
    {
      ...{ tenantId, messageId: mail?.id ?? '', attempt: begun?.attempt ?? 0 },
      order: { ...order, toEmail: mail?.toEmail ?? '', dkim: null },
      raw: Buffer.from('Subject: Hello\r\n\r\nHello\r\n'),
    },
    new AbortController().signal,
  )
  sender.close()
  const [after] = await mailsOf(tier, tenantId)
  return { outcome, mail: after, box: await tier.db.system.emailAccount.findFirstOrThrow({ where: { tenantId } }) }
}

test('a mailbox whose server turns out to be inside is disconnected, with the reason; its mail waits', async () => {
  dns.zone['mail.sly.example'] = { A: ['127.0.0.1'] }
  const { outcome, mail, box } = await sendOne(false)
  expect(outcome).toBe('AUTH_FAILED')
  expect(mail).toMatchObject({ status: 'queued', sentAt: null })
  expect(box).toMatchObject({
    ...{ status: 'disconnected', pausedReason: expect.stringContaining('mail.sly.example is not a public server') },
  })
  expect(server.connections()).toBe(0)
})

test('where servers may be inside, its mail leaves', async () => {
  dns.zone['mail.sly.example'] = { A: ['127.0.0.1'] }
  const { outcome, mail } = await sendOne(true)
  expect(outcome).toBe('SENT')
  expect(mail).toMatchObject({ status: 'sent' })
  expect(server).toMatchObject({ passwords: ['open sesame'], taken: [mail?.toEmail] })
})
