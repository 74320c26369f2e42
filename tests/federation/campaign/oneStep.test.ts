import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { eventually } from '../../support/eventually.ts'
import { RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { type CampaignTenant, foundCampaignTenant } from './campaignTenant.ts'
import { type Receiver, startReceiver } from './receiver.ts'

const LAUNCH = `mutation ($id: ID!) { launchCampaign(input: { id: $id }) { campaign { id status } } }`
const CAMPAIGN = `query ($id: ID!) { campaign(id: $id) { status analytics { sent delivered bounced }
  sendProgress { queued sending sent failed }
  messages(first: 100) { nodes { id status toEmail subject content { text headers } jobs { nodes { status jobType } } } } } }`

type Sent = { jobs: { nodes: { status: string; jobType: string }[] } }

let platform: TestPlatform
let receiver: Receiver
let demo: CampaignTenant

beforeAll(async () => {
  // A day of business in a few seconds.
  setClock({ speed: 2_000, originAt: Date.now() })
  receiver = await startReceiver()
  platform = await startPlatform({ worker: true })
  demo = await foundCampaignTenant(platform.tierClient('oltp'), { smtpPort: receiver.port, leads: 20 })
}, START_TIMEOUT_MS)
afterAll(async () => {
  setClock({ speed: 1, originAt: 0 })
  await platform?.stop()
  await receiver?.close()
})

test('a launched campaign is planned, sent, counted and completed; every lead gets one mail', async () => {
  const launched = await platform.ask(LAUNCH, { id: demo.campaignId })
  expect(launched.errors).toBeUndefined()
  expect(launched.data.launchCampaign.campaign.status).toBe('SENDING')

  const ask = async () => (await platform.ask(CAMPAIGN, { id: demo.campaignId })).data.campaign
  const campaign = await eventually(ask, ({ status }) => status === 'COMPLETED', 120_000)
  expect(receiver.taken.map(({ to }) => to).sort()).toEqual(demo.leads.map(({ email }) => email).sort())
  expect(campaign.messages.nodes).toHaveLength(20)
  const [first] = campaign.messages.nodes
  expect(first.subject).toMatch(/^Hello Lee \d+$/)
  expect(first.content.text).toContain('Dear Lee')
  expect(first.content.headers['list-unsubscribe-post']).toBe('List-Unsubscribe=One-Click')

  await platform.settle()
  // On a slow machine a job may come too late for its time: the mail is planned again, and leaves by another. What jobs have
  // done is acknowledged a moment after it was done.
  const sendsOf = ({ jobs }: Sent) => jobs.nodes.filter(({ jobType }) => jobType === 'sendMessage')
  const counted = await eventually(ask, ({ messages }) =>
    messages.nodes.every((mail: Sent) => sendsOf(mail).every(({ status }) => status === 'COMPLETED')),
  )
  expect(counted.analytics.sent).toBe(20)
  expect(counted.sendProgress).toEqual({ queued: 0, sending: 0, sent: 20, failed: 0 })
  for (const mail of counted.messages.nodes) expect(sendsOf(mail)).not.toEqual([])
}, 240_000)

test('another tenant sees nothing of it and cannot launch it', async () => {
  const theirs = await platform.ask(CAMPAIGN, { id: demo.campaignId }, RIVAL)
  expect(theirs.data.campaign).toBeNull()
  const launched = await platform.ask(LAUNCH, { id: demo.campaignId }, RIVAL)
  expect(launched.errors?.[0]?.extensions.code).toBe('NOT_FOUND')
})
