import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { v7 as uuidv7 } from 'uuid'
import { makeTrackingKey } from '#platform/tracking/keys.ts'
import { clickUrl, openUrl, type TrackingOptions, unsubscribeUrl } from '#platform/tracking/links.ts'
import { eventually } from '../support/eventually.ts'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { makeMail } from '../support/mails.ts'
import { foundTenant, type TestTenant } from '../support/tenants.ts'

const BROWSER =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36'
const TARGET = 'https://shop.example/offer?id=7'

let platform: TestPlatform
let demo: TestTenant
let rival: TestTenant
let options: TrackingOptions

beforeAll(async () => {
  platform = await startPlatform({ worker: true })
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
  rival = await foundTenant(platform.tierClient('oltp'), 'rival')
  const key = Buffer.from(platform.settings.oltp.TRACKING_KEY ?? '', 'base64')
  options = { publicUrl: String(platform.settings.oltp.PUBLIC_URL), keys: [makeTrackingKey(key)] }
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

const visit = (url: string, init: RequestInit = {}) =>
  fetch(url, { redirect: 'manual', ...init, headers: { 'user-agent': BROWSER, ...init.headers } })

const RECORD = 'mutation ($input: RecordSentMessagesInput!) { recordSentMessages(input: $input) { status } }'

/** A mail that was delivered days ago, and what its links are. */
async function sendMail(tenant = demo) {
  const { tenantId, emailAccountId, campaignId, stepId, leadId, mailbox, leadEmail } = tenant
  const messageId = uuidv7()
  const raw = makeMail({ messageId, headers: { From: mailbox, To: leadEmail } })
  const times = {
    queuedAt: '2026-11-20T08:00:00Z',
    sentAt: '2026-11-20T08:01:00Z',
    deliveredAt: '2026-11-20T08:02:00Z',
  }
  const item = { tenantId, id: messageId, emailAccountId, campaignId, stepId, leadId, raw, ...times }
  await platform.tierClient('oltp').request(RECORD, { input: { items: [item] } })
  const mail = { tenantId, messageId }
  return {
    messageId,
    openUrl: openUrl(mail, options),
    clickUrl: String(clickUrl(mail, { href: TARGET, linkIndex: 0 }, options)),
    unsubscribeUrl: unsubscribeUrl(mail, options),
  }
}

const STATE = 'query ($id: ID!) { message(id: $id) { status openedAt clickedAt lead { status unsubscribedAt } } }'
const stateOf = async (id: string, as = DEMO) => (await platform.ask(STATE, { id }, as)).data.message

const JOBS = `query ($payload: JSON!) {
  jobs(filter: { jobType: "recordTracking", payload: $payload }) { nodes { id status priority payload result } } }`
const jobsOf = async (messageId: string, as = DEMO) =>
  (await platform.ask(JOBS, { payload: { messageId } }, as)).data.jobs.nodes

/** What a mail's jobs are once there are so many and all are done: that is written down after what they do. */
const doneJobsOf = (messageId: string, count: number, as = DEMO) =>
  eventually(
    () => jobsOf(messageId, as),
    (jobs) => jobs.length === count && jobs.every(({ status }: { status: string }) => status === 'COMPLETED'),
  )

const FACTS = `query ($id: ID!) { campaign(id: $id) { analytics { openedTracked openedByPerson clickedTracked unsubscribed } } }`
const factsOf = async ({ campaignId }: TestTenant, as = DEMO) =>
  (await platform.ask(FACTS, { id: campaignId }, as)).data.campaign.analytics

describe('a pixel', () => {
  test('is answered at once, kept by no cache, and counts as one open of its mail', async () => {
    const before = await factsOf(demo)
    const { messageId, openUrl } = await sendMail()
    for (let look = 0; look < 3; look++) {
      const answer = await visit(openUrl)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe('image/gif')
      expect(answer.headers.get('cache-control')).toContain('no-store')
      const image = Buffer.from(await answer.arrayBuffer())
      expect(image.toString('latin1', 0, 6)).toBe('GIF89a')
      expect([image.readUInt16LE(6), image.readUInt16LE(8)]).toEqual([1, 1])
    }
    await doneJobsOf(messageId, 3)
    expect(await stateOf(messageId)).toMatchObject({ status: 'OPENED', openedAt: expect.any(String) })
    await platform.settle()
    const counted = { openedTracked: before.openedTracked + 1, openedByPerson: before.openedByPerson + 1 }
    expect(await factsOf(demo)).toMatchObject(counted)
  })

  test('fetched by a proxy counts as an open, but not as a person’s', async () => {
    const before = await factsOf(demo)
    const { messageId, openUrl } = await sendMail()
    await visit(openUrl, { headers: { 'user-agent': 'Mozilla/5.0' } })
    const [job] = await doneJobsOf(messageId, 1)
    expect(job.result).toEqual({ status: 'RECORDED', openClass: 'PROXY' })
    expect(await stateOf(messageId)).toMatchObject({ status: 'DELIVERED', openedAt: expect.any(String) })
    await platform.settle()
    const { openedTracked, openedByPerson } = before
    expect(await factsOf(demo)).toMatchObject({ openedTracked: openedTracked + 1, openedByPerson })
  })
})

test('a link leads to what was signed and counts as a click', async () => {
  const before = await factsOf(demo)
  const { messageId, clickUrl } = await sendMail()
  const answer = await visit(clickUrl)
  expect([answer.status, answer.headers.get('location')]).toEqual([302, TARGET])
  expect(answer.headers.get('cache-control')).toContain('no-store')
  expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
  await eventually(
    () => stateOf(messageId),
    ({ clickedAt }) => clickedAt !== null,
  )
  await platform.settle()
  expect(await factsOf(demo)).toMatchObject({ clickedTracked: before.clickedTracked + 1 })
})

test('the longest target that is tracked arrives whole', async () => {
  const { messageId } = await sendMail()
  const href = `https://shop.example/${'x'.repeat(2_000)}`
  const url = clickUrl({ tenantId: demo.tenantId, messageId }, { href, linkIndex: 1 }, options)
  const answer = await visit(String(url))
  expect([answer.status, answer.headers.get('location')]).toEqual([302, href])
})

test('HEAD counts as nothing', async () => {
  const { messageId, ...urls } = await sendMail()
  const answers = await Promise.all(Object.values(urls).map((url) => visit(url, { method: 'HEAD' })))
  expect(answers.map(({ status }) => status)).toEqual([200, 302, 200])
  await visit(urls.openUrl)
  await eventually(
    () => jobsOf(messageId),
    (jobs) => jobs.length > 0,
  )
  expect(await jobsOf(messageId)).toHaveLength(1)
})

test('a token that is changed, another’s, or of another kind is not found, redirects nowhere, and records nothing', async () => {
  const { messageId, openUrl: open, clickUrl: click, unsubscribeUrl: leave } = await sendMail()
  const stranger = { ...options, keys: [makeTrackingKey(randomBytes(32))] as const }
  const mail = { tenantId: demo.tenantId, messageId }
  const { publicUrl } = options
  const changed = (url: string) => url.replace(/.(?=.{30}$)/, (letter) => (letter === 'A' ? 'B' : 'A'))
  const wrong = [
    ...[open, click, leave].map(changed),
    ...[open, click, leave].map((url) => url.slice(0, -2)),
    openUrl(mail, stranger),
    unsubscribeUrl(mail, stranger),
    String(clickUrl(mail, { href: 'https://evil.example', linkIndex: 0 }, stranger)),
    open.replace('/t/o/', '/t/c/'),
    leave.replace('/u/', '/t/c/'),
    click.replace('/t/c/', '/u/'),
    `${publicUrl}/t/c/https://evil.example`,
    `${publicUrl}/t/c/?url=https://evil.example`,
    `${publicUrl}/t/o/${'A'.repeat(10_000)}`,
    `${publicUrl}/u/%00%ff`,
  ]
  for (const url of wrong) {
    const answer = await visit(url)
    expect([answer.status >= 400 && answer.status < 500, answer.headers.get('location'), url]).toEqual([
      true,
      null,
      url,
    ])
  }
  for (const url of [changed(leave), unsubscribeUrl(mail, stranger)]) {
    expect((await visit(url, { method: 'POST' })).status).toBe(404)
  }
  await visit(open)
  await eventually(
    () => jobsOf(messageId),
    (jobs) => jobs.length > 0,
  )
  expect(await jobsOf(messageId)).toHaveLength(1)
  expect(await stateOf(messageId)).toMatchObject({ clickedAt: null, lead: { unsubscribedAt: null } })
})

test("one tenant's tokens touch its own mail only", async () => {
  const ours = await sendMail()
  const before = await stateOf(ours.messageId)
  // Signed as they must be, but for a mail that the tenant named does not have.
  const mixed = { tenantId: rival.tenantId, messageId: ours.messageId }
  await visit(openUrl(mixed, options))
  expect((await visit(unsubscribeUrl(mixed, options), { method: 'POST' })).status).toBe(200)
  const jobs = await doneJobsOf(ours.messageId, 2, RIVAL)
  expect(jobs.map(({ result }: { result: object }) => result)).toEqual(
    Array(2).fill({ status: 'UNKNOWN', openClass: null }),
  )
  expect(await stateOf(ours.messageId)).toEqual(before)
  expect(await jobsOf(ours.messageId)).toEqual([])
})

describe('unsubscribing', () => {
  test('a GET only asks: a page with one button that a keyboard and a screen reader find, without scripts', async () => {
    const { messageId, unsubscribeUrl } = await sendMail()
    const answer = await visit(unsubscribeUrl)
    const page = await answer.text()
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(page).toMatch(/<html lang="en">.*<title>Unsubscribe<\/title>.*<main><h1>.*<form method="post">/s)
    expect(page.match(/<button type="submit">Unsubscribe<\/button>/g)).toHaveLength(1)
    expect(page).not.toMatch(/<script|<img|https?:/)
    expect(await jobsOf(messageId)).toEqual([])
  })

  test('a one-click POST is answered when the queue has it; the lead leaves everything, once', async () => {
    const before = await factsOf(rival, RIVAL)
    const { messageId, unsubscribeUrl } = await sendMail(rival)
    const form = new FormData()
    form.set('List-Unsubscribe', 'One-Click')
    const spellings: RequestInit[] = [
      { body: new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }) },
      { body: form },
      { body: 'List-Unsubscribe=One-Click', headers: { 'content-type': 'text/plain' } },
      {},
    ]
    for (const init of spellings) {
      const answer = await visit(unsubscribeUrl, { ...init, method: 'POST' })
      expect([answer.status, (await answer.text()).includes('<h1>You are unsubscribed</h1>')]).toEqual([200, true])
    }
    const [job, ...others] = await jobsOf(messageId, RIVAL)
    expect(others).toEqual([])
    expect(job.priority).toBeLessThanOrEqual(50)
    await eventually(
      () => stateOf(messageId, RIVAL),
      ({ lead }) => lead.status === 'UNSUBSCRIBED' && lead.unsubscribedAt !== null,
    )
    const SUPPRESSED = '{ suppressions { nodes { email reason sourceMessage { id } } } }'
    const { data } = await platform.ask(SUPPRESSED, {}, RIVAL)
    expect(data.suppressions.nodes).toEqual([
      { email: rival.leadEmail, reason: 'UNSUBSCRIBE', sourceMessage: { id: messageId } },
    ])
    await platform.settle()
    expect(await factsOf(rival, RIVAL)).toMatchObject({ unsubscribed: before.unsubscribed + 1 })
    const AUDIT = '{ auditLog(filter: { resourceType: "Lead" }) { nodes { action resourceId } } }'
    await eventually(
      async () => (await platform.ask(AUDIT, {}, RIVAL)).data.auditLog.nodes,
      (nodes) => nodes.length === 1 && nodes[0].action === 'lead.unsubscribed' && nodes[0].resourceId === rival.leadId,
    )
  })

  test('a form beyond all measure is not read', async () => {
    const { messageId, unsubscribeUrl } = await sendMail()
    const body = new URLSearchParams({ 'List-Unsubscribe': 'x'.repeat(100_000) })
    expect((await visit(unsubscribeUrl, { method: 'POST', body })).status).toBe(413)
    expect(await jobsOf(messageId)).toEqual([])
  })
})

test('while the queue is away opens and links are answered and kept, and who unsubscribes is asked to try again', async () => {
  const { messageId, ...urls } = await sendMail()
  await platform.stopTier('queue')
  try {
    expect((await visit(urls.openUrl)).status).toBe(200)
    expect((await visit(urls.clickUrl)).status).toBe(302)
    const refused = await visit(urls.unsubscribeUrl, { method: 'POST' })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '60'])
    expect(await refused.text()).toContain('<button type="submit">Try again</button>')
  } finally {
    await platform.startTier('queue')
  }
  await eventually(
    () => jobsOf(messageId),
    (jobs) => jobs.length === 2,
  )
  expect((await visit(urls.unsubscribeUrl, { method: 'POST' })).status).toBe(200)
  expect(await jobsOf(messageId)).toHaveLength(3)
})

test('what is still kept when the gateway ends reaches the queue before it does', async () => {
  const { messageId, openUrl } = await sendMail()
  await Promise.all(Array.from({ length: 20 }, () => visit(openUrl)))
  await platform.stopGateway()
  await platform.startGateway()
  expect(await jobsOf(messageId)).toHaveLength(20)
})
