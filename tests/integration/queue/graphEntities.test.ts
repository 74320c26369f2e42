// biome-ignore-all lint/suspicious/noExplicitAny: answers are whatever was asked for
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { countStatements } from '#platform/database/statementCount.ts'
import { demo, enqueue, request, rival } from './queueDatabase.ts'
import { type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

let tier: QueueTier
const owner = userOf(demo, 'owner')
const stranger = userOf(rival, 'owner')
beforeAll(async () => {
  tier = await startQueueTier()
})
afterAll(() => tier.stop())

describe('what the tier adds to other tiers’ entities', () => {
  const ENTITIES = `query ($of: [_Any!]!) { _entities(representations: $of) {
    ... on Campaign { id jobs(first: 3) { totalCount nodes { id status queue { name } logs { message } } } sendProgress { queued sending sent failed ratePerMinute eta } }
    ... on InboxMessageRef { id jobs { nodes { id } } }
    ... on TransactionalEmail { job { id } }
    ... on Domain { monitoring { nodes { id } } }
    ... on SmtpIpAddress { monitoring { nodes { id } } }
    ... on Tenant { jobs(first: 1) { totalCount } }
    ... on Job { id status } } }`

  test('each entity finds its own jobs, and only the tenant’s', async () => {
    const [campaign, message, email, domain] = Array.from({ length: 4 }, () => randomUUID())
    const monitored = { queueName: 'infrastructure-monitoring', subjectTypename: 'Domain', subjectId: domain }
    const [a, b, c, d] = await enqueue(
      tier.sql,
      request({ campaignId: campaign, queueName: 'email-sending' }),
      request({ subjectTypename: 'InboxMessageRef', subjectId: message }),
      request({ subjectTypename: 'TransactionalEmail', subjectId: email }),
      request(monitored),
      request({ tenantId: rival, campaignId: campaign }),
      request({ ...monitored, queueName: 'billing-sync' }),
    )
    const of = [
      { __typename: 'Campaign', id: campaign },
      { __typename: 'InboxMessageRef', id: message },
      { __typename: 'TransactionalEmail', id: email },
      { __typename: 'Domain', id: domain },
      { __typename: 'Job', id: a },
      { __typename: 'Campaign', id: 'malformed' },
    ]
    const { data, errors } = await tier.ask(ENTITIES, { of }, owner)
    expect(errors).toBeUndefined()
    expect(data._entities).toMatchObject([
      {
        jobs: { totalCount: 1, nodes: [{ id: a, queue: { name: 'email-sending' } }] },
        sendProgress: { queued: 1, sent: 0, eta: null },
      },
      { jobs: { nodes: [{ id: b }] } },
      { job: { id: c } },
      { monitoring: { nodes: [{ id: d }] } },
      { id: a, status: 'QUEUED' },
      { jobs: { totalCount: 0, nodes: [] }, sendProgress: { queued: 0 } },
    ])
    const strange = await tier.ask(ENTITIES, { of }, stranger)
    expect(strange.data._entities).toMatchObject([
      { jobs: { totalCount: 1 }, sendProgress: { queued: 0 } },
      { jobs: { nodes: [] } },
      { job: null },
      { monitoring: { nodes: [] } },
      null,
      { jobs: { nodes: [] } },
    ])
    expect(strange.data._entities[0].jobs.nodes.map(({ id }: { id: string }) => id)).not.toContain(a)
  })

  test('a tenant’s jobs are its own; another tenant’s id has none', async () => {
    const of = [
      { __typename: 'Tenant', id: demo },
      { __typename: 'Tenant', id: rival },
    ]
    const { data } = await tier.ask(ENTITIES, { of }, owner)
    expect(data._entities[0].jobs.totalCount).toBeGreaterThan(0)
    expect(data._entities[1].jobs).toBeNull()
  })

  test('staff see the platform’s own checks of an address, tenants none', async () => {
    const address = randomUUID()
    const [id] = await enqueue(
      tier.sql,
      request({
        tenantId: '00000000-0000-0000-0000-000000000000',
        queueName: 'infrastructure-monitoring',
        subjectTypename: 'SmtpIpAddress',
        subjectId: address,
      }),
    )
    const of = [{ __typename: 'SmtpIpAddress', id: address }]
    const staff = await tier.ask(ENTITIES, { of }, SUPPORT)
    expect(staff.data._entities[0].monitoring.nodes).toEqual([{ id }])
    expect((await tier.ask(ENTITIES, { of }, owner)).data._entities[0].monitoring.nodes).toEqual([])
  })

  test('the progress of a campaign’s mail, with rate and end', async () => {
    const campaignId = randomUUID()
    const mails = (count: number) =>
      enqueue(tier.sql, ...Array.from({ length: count }, () => request({ campaignId, queueName: 'email-sending' })))
    const sent = await mails(20)
    await tier.sql.query(`UPDATE jobs SET status = 'completed', completed_at = now() WHERE id = ANY($1)`, [sent])
    await mails(4)
    const { data } = await tier.ask(ENTITIES, { of: [{ __typename: 'Campaign', id: campaignId }] }, owner)
    const { eta, ...progress } = data._entities[0].sendProgress
    expect(progress).toEqual({ queued: 4, sending: 0, sent: 20, failed: 0, ratePerMinute: 2 })
    expect(Math.round((new Date(eta).getTime() - Date.now()) / 60_000)).toBe(2)
  })

  test('100 campaigns with jobs, queues and logs cost as many statements as one', async () => {
    const campaigns = Array.from({ length: 100 }, () => randomUUID())
    await enqueue(tier.sql, ...campaigns.flatMap((campaignId) => [request({ campaignId }), request({ campaignId })]))
    const cost = async (ids: string[]) => {
      const of = ids.map((id) => ({ __typename: 'Campaign', id }))
      const { result, statements } = await countStatements(tier.db, () => tier.ask(ENTITIES, { of }, owner))
      expect(result.errors).toBeUndefined()
      expect(result.data._entities.every(({ jobs }: any) => jobs.totalCount === 2 && jobs.nodes.length === 2)).toBe(
        true,
      )
      return statements.filter((text) => !/outbox_events|chore_marks|queue_alerts/.test(text))
    }
    // What earlier tests announced must not be delivered, and counted, in between; nor is the evaluation of alerts.
    await tier.relay.drain()
    const one = await cost(campaigns.slice(0, 1))
    const hundred = await cost(campaigns)
    expect(hundred.length).toBe(one.length)
    expect(hundred.length).toBeLessThanOrEqual(7)
  })
})
