import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { setClock } from '#platform/clock.ts'
import { type OltpTier, SERVICE, startOltpTier, userOf } from './oltpTier.ts'
import { writeCampaigns, writeMessages } from './rows.ts'
import { setNow } from './sendingWorld.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
let demo: Workspace
let rival: Workspace

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundTenant(tier)
  rival = await foundTenant(tier)
})
afterAll(() => tier?.stop())
afterEach(() => setClock({ speed: 1, originAt: 0 }))

// biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
async function ask(query: string, variables: object = {}, workspace = demo): Promise<any> {
  const answer = await tier.ask(query, variables, userOf(workspace.tenantId, { userId: workspace.userId }))
  expect(answer.errors).toBeUndefined()
  return answer.data
}

async function codeOf(query: string, variables: object = {}) {
  const answer = await tier.ask(query, variables, userOf(demo.tenantId))
  return answer.errors?.[0]?.extensions.code
}

const PROJECT = `mutation ($figures: [CampaignFiguresInput!]!) { projectCampaignMetrics(figures: $figures) }`

describe('who is asking', () => {
  test('viewer tells tenant, user and roles', async () => {
    const { viewer } = await ask('{ viewer { tenant { id slug timezone } user { id email name } roles } }')
    expect(viewer).toEqual({
      tenant: { id: demo.tenantId, slug: demo.slug, timezone: 'Europe/Berlin' },
      user: { id: demo.userId, email: `ada@${demo.domain}`, name: 'Ada' },
      roles: ['OWNER'],
    })
  })

  test('a user who is no member of the tenant is not shown; one who left neither', async () => {
    const query = '{ viewer { user { id } } }'
    const asRival = await tier.ask(query, {}, userOf(demo.tenantId, { userId: rival.userId }))
    expect(asRival.data.viewer).toEqual({ user: null })
    const left = await foundTenant(tier)
    const { tenantId, userId } = left
    await tier.db.system.tenantUser.updateMany({ where: { tenantId }, data: { deletedAt: new Date() } })
    expect((await tier.ask(query, {}, userOf(tenantId, { userId }))).data.viewer).toEqual({ user: null })
  })

  test('a token of a tenant that does not exist gets NOT_FOUND', async () => {
    const answer = await tier.ask('{ viewer { roles } }', {}, userOf('01930000-0000-7000-8000-00000000dead'))
    expect(answer.errors?.[0]?.extensions.code).toBe('NOT_FOUND')
    expect(answer.data).toEqual({ viewer: null })
  })

  test('team, plans and subscription', async () => {
    setNow('2027-02-10T12:00:00Z')
    const { team, plans, subscription } = await ask(`{
      team { nodes { id email roles user { name } } }
      plans { code maxEmailsPerMonth maxDomains }
      subscription { status plan { code } nextPlan { code } periodEndAt }
    }`)
    expect(team.nodes).toEqual([
      { id: demo.userId, email: `ada@${demo.domain}`, roles: ['OWNER', 'VIEWER'], user: { name: 'Ada' } },
    ])
    expect(plans).toEqual([
      { code: 'starter', maxEmailsPerMonth: 10_000, maxDomains: 1 },
      { code: 'professional', maxEmailsPerMonth: 50_000, maxDomains: 5 },
      { code: 'enterprise', maxEmailsPerMonth: null, maxDomains: null },
    ])
    expect(subscription).toEqual({
      status: 'ACTIVE',
      plan: { code: 'starter' },
      nextPlan: null,
      periodEndAt: '2027-03-01T00:00:00.000Z',
    })
  })
})

describe('lists', () => {
  test('campaigns can be filtered, searched and ordered', async () => {
    const workspace = await foundTenant(tier)
    await writeCampaigns(tier, workspace, ['Autumn 100%', 'autumn_two', 'Winter'])
    const names = async (args: string) => {
      const { campaigns } = await ask(`{ campaigns(${args}) { nodes { name } } }`, {}, workspace)
      return campaigns.nodes.map(({ name }: { name: string }) => name)
    }
    expect(await names('filter: { status: [SENDING] }')).toEqual(['Spring'])
    expect(await names('filter: { status: [SENDING, DRAFT] }, orderBy: { field: NAME, direction: ASC }')).toHaveLength(
      4,
    )
    expect(await names('filter: { search: "AUTUMN" }, orderBy: { field: NAME, direction: ASC }')).toEqual(
      expect.arrayContaining(['Autumn 100%', 'autumn_two']),
    )
    expect(await names('filter: { search: "0%" }')).toEqual(['Autumn 100%'])
    expect(await names('filter: { search: "autumn_" }')).toEqual(['autumn_two'])
    expect(await names('filter: { search: "\\\\" }')).toEqual([])
    expect(await names(`filter: { emailAccountId: "${workspace.pausedMailboxId}" }`)).toEqual([])
    expect(await names('filter: { isArchived: true }')).toEqual([])
    expect(await names('filter: { createdAt: { from: "2020-01-01T00:00:00Z", to: "2020-01-02T00:00:00Z" } }')).toEqual(
      [],
    )
  })

  test('campaigns can be ordered by reply rate; those without figures come last, and pages fit together', async () => {
    const workspace = await foundTenant(tier)
    const ids = await writeCampaigns(tier, workspace, ['a', 'b', 'c'])
    const project = async (figures: object[], of = workspace) => {
      const service = { ...SERVICE, tenantId: of.tenantId }
      return (await tier.ask(PROJECT, { figures }, service)).data.projectCampaignMetrics
    }
    const figures = (index: number, replied: number, version = 2) => ({
      ...{ campaignId: ids[index], version, sent: 10, delivered: 10, opened: 0, clicked: 0, replied, bounced: 0 },
      ...{ unsubscribed: 0, complained: 0, asOf: '2026-11-22T00:00:00Z' },
    })
    expect(await project([figures(0, 1), figures(1, 3), figures(2, 2)])).toBe(3)
    // Neither what was read earlier nor another tenant overwrites them.
    expect(await project([figures(0, 9, 1), figures(1, 9)])).toBe(0)
    expect(await project([figures(0, 9, 3)], await foundTenant(tier))).toBe(0)
    const query = `query ($after: String) {
      campaigns(first: 2, after: $after, orderBy: { field: REPLY_RATE }) {
        nodes { name metrics { replyRate asOf } } pageInfo { endCursor hasNextPage }
      }
    }`
    const first = (await ask(query, {}, workspace)).campaigns
    expect(first.nodes).toEqual([
      { name: 'b', metrics: { replyRate: 0.3, asOf: '2026-11-22T00:00:00.000Z' } },
      { name: 'c', metrics: { replyRate: 0.2, asOf: '2026-11-22T00:00:00.000Z' } },
    ])
    const second = (await ask(query, { after: first.pageInfo.endCursor }, workspace)).campaigns
    expect(second.nodes.map(({ name }: { name: string }) => name)).toEqual(['a', 'Spring'])
    expect(second.pageInfo.hasNextPage).toBe(false)
    const worst = query.replace('REPLY_RATE', 'REPLY_RATE, direction: ASC').replace('first: 2', 'first: 9')
    const names = (await ask(worst, {}, workspace)).campaigns.nodes.map(({ name }: { name: string }) => name)
    expect(names).toEqual(['a', 'c', 'b', 'Spring'])
  })

  test('messages come newest first, page by page, also while others arrive', async () => {
    const workspace = await foundTenant(tier)
    await writeMessages(tier, workspace, [{ subject: '1' }, { subject: '2' }, { subject: '3' }, { subject: '4' }])
    const query = `query ($after: String) {
      messages(first: 2, after: $after) { nodes { subject } totalCount pageInfo { endCursor hasNextPage hasPreviousPage } }
    }`
    const first = (await ask(query, {}, workspace)).messages
    expect(first.nodes).toEqual([{ subject: '4' }, { subject: '3' }])
    expect(first.totalCount).toBe(4)
    await writeMessages(tier, workspace, [{ subject: 'new', at: new Date('2026-12-01T00:00:00Z') }])
    const second = (await ask(query, { after: first.pageInfo.endCursor }, workspace)).messages
    expect(second.nodes).toEqual([{ subject: '2' }, { subject: '1' }])
    expect(second.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true })
  })

  test('messages can be filtered by anything they are', async () => {
    const workspace = await foundTenant(tier)
    await writeMessages(tier, workspace, [
      { subject: 'Question', direction: 'inbound', campaignId: null, leadId: null },
      { subject: 'Offer', isStarred: true },
    ])
    const subjects = async (filter: string) => {
      const { messages } = await ask(`{ messages(filter: { ${filter} }) { nodes { subject } } }`, {}, workspace)
      return messages.nodes.map(({ subject }: { subject: string }) => subject)
    }
    expect(await subjects('direction: INBOUND')).toEqual(['Question'])
    expect(await subjects('status: [SENT]')).toEqual(['Offer'])
    expect(await subjects('isStarred: true')).toEqual(['Offer'])
    expect(await subjects('fromEmail: "THEM@x.example"')).toEqual(['Question'])
    expect(await subjects('search: "offer"')).toEqual(['Offer'])
    expect(await subjects(`campaignId: "${workspace.campaignId}"`)).toEqual(['Offer'])
    expect(await subjects('isRead: false, hasAttachments: false')).toEqual(['Offer', 'Question'])
    expect(await subjects('createdAt: { from: "2026-11-01T00:00:01Z", to: "2026-11-02T00:00:00Z" }')).toEqual(['Offer'])
  })

  test('leads, templates, domains, mailboxes and suppressions can be filtered', async () => {
    const count = async (field: string, filter: string) =>
      (await ask(`{ ${field}(filter: { ${filter} }) { totalCount } }`))[field].totalCount
    expect(await count('leads', `search: "customer-${demo.slug}"`)).toBe(1)
    expect(await count('leads', 'search: "nobody"')).toBe(0)
    expect(await count('leads', 'status: NEW')).toBe(1)
    expect(await count('templates', 'folder: "Intro", tag: "new"')).toBe(1)
    expect(await count('templates', 'tag: "old"')).toBe(0)
    expect(await count('domains', 'verificationStatus: VERIFIED')).toBe(1)
    expect(await count('emailAccounts', 'status: PAUSED')).toBe(1)
    expect(await count('emailAccounts', 'search: "SALES"')).toBe(1)
  })

  test('what is deleted is hidden from lists, lookups and those that refer to it', async () => {
    const workspace = await foundTenant(tier)
    const { tenantId, leadId, templateId } = workspace
    await writeMessages(tier, workspace, [{}])
    await tier.db.system.lead.updateMany({ where: { tenantId }, data: { deletedAt: new Date() } })
    await tier.db.system.template.updateMany({ where: { tenantId }, data: { deletedAt: new Date() } })
    const query = `{ lead(id: "${leadId}") { id } leads { totalCount } template(id: "${templateId}") { id }
      messages { nodes { lead { id } step { template { id } } } } }`
    expect(await ask(query, {}, workspace)).toEqual({
      lead: null,
      leads: { totalCount: 0 },
      template: null,
      messages: { nodes: [{ lead: null, step: { template: null } }] },
    })
  })

  test('a bad page spoils no other', async () => {
    const query = '{ companies { nodes { good: campaigns { totalCount } bad: campaigns(first: 101) { totalCount } } } }'
    const answer = await tier.ask(query, {}, userOf(demo.tenantId))
    expect(answer.errors?.map(({ path }) => path)).toEqual([['companies', 'nodes', 0, 'bad']])
  })

  test('bad pages and texts are invalid input', async () => {
    expect(await codeOf('{ campaigns(first: 0) { nodes { id } } }')).toBe('INVALID_INPUT')
    expect(await codeOf('{ campaigns(first: 1000000000) { nodes { id } } }')).toBe('INVALID_INPUT')
    expect(await codeOf('{ campaigns(after: "x") { nodes { id } } }')).toBe('INVALID_INPUT')
    expect(await codeOf('{ campaigns { nodes { messages(first: 101) { nodes { id } } } } }')).toBe('INVALID_INPUT')
    const withText = 'query ($text: String) { campaigns(filter: { search: $text }) { nodes { id } } }'
    expect(await codeOf(withText, { text: 'a\0b' })).toBe('INVALID_INPUT')
    expect(await codeOf(withText, { text: 'a\ud83d' })).toBe('INVALID_INPUT')
    expect(await codeOf(withText, { text: 'a'.repeat(501) })).toBe('INVALID_INPUT')
  })

  test('a list of states may be as long as a request', async () => {
    const query = `query ($campaigns: [CampaignStatus!], $messages: [MessageStatus!]) {
      campaigns(filter: { status: $campaigns }) { totalCount } messages(filter: { status: $messages }) { totalCount } }`
    const counts = (times: number) =>
      ask(query, { campaigns: Array(times).fill('SENDING'), messages: Array(times).fill('SENT') })
    expect(await counts(40_000)).toEqual(await counts(1))
  })
})

describe('one thing leads to another', () => {
  test('from a campaign to its steps, templates, mailboxes, leads, messages, and back', async () => {
    const [messageId] = await writeMessages(tier, demo, [{}])
    const { campaign } = await ask(
      `query ($id: ID!) { campaign(id: $id) {
        company { name } steps { stepOrder stepType condition template { name usedBy { id } } emailAccount { email } campaign { id } }
        enrollments { nodes { status lead { id enrollments { nodes { campaign { id } } } } } }
        messages { nodes { id status lead { id } content { storageKey messages { id } } emailAccount { domain { domain } } } }
      } }`,
      { id: demo.campaignId },
    )
    expect(campaign).toEqual({
      company: { name: 'Company' },
      steps: [
        {
          stepOrder: 1,
          stepType: 'EMAIL',
          condition: 'ALWAYS',
          template: { name: 'Hello', usedBy: [{ id: demo.stepId }] },
          emailAccount: { email: `sales@${demo.domain}` },
          campaign: { id: demo.campaignId },
        },
      ],
      enrollments: {
        nodes: [
          {
            status: 'ACTIVE',
            lead: { id: demo.leadId, enrollments: { nodes: [{ campaign: { id: demo.campaignId } }] } },
          },
        ],
      },
      messages: {
        nodes: [
          {
            id: messageId,
            status: 'SENT',
            lead: { id: demo.leadId },
            content: { storageKey: `mail/${messageId}`, messages: [{ id: messageId }] },
            emailAccount: { domain: { domain: demo.domain } },
          },
        ],
      },
    })
  })

  test('a tenant sees the address its domain sends from, without what is for staff, and only while assigned', async () => {
    const workspace = await foundTenant(tier)
    const { tenantId, assignmentId: id } = workspace
    const query = `{ domainIpAssignments { nodes { status domain { domain } smtpIpAddress {
      ipAddress pool dailySafeLimit blocklists lastReputationCheckAt vpsInstance { id } } } } }`
    const address = async () => (await ask(query, {}, workspace)).domainIpAssignments.nodes[0].smtpIpAddress
    expect(await address()).toEqual({
      ipAddress: workspace.input.smtpIpAddresses[0]?.ipAddress,
      pool: 'SHARED',
      dailySafeLimit: 1200,
      blocklists: null,
      lastReputationCheckAt: null,
      vpsInstance: null,
    })
    const set = (data: object) =>
      tier.db.system.domainIpAssignment.update({ where: { tenantId_id: { tenantId, id } }, data })
    await set({ status: 'scheduled' })
    expect(await address()).toBeNull()
    await set({ status: 'warming' })
    expect(await address()).not.toBeNull()
    await set({ expiresAt: new Date('2026-01-01T00:00:00Z') })
    expect(await address()).toBeNull()
  })
})

describe('the number of statements', () => {
  // Each kind of thing is reached on one way only: whether two ways meet in one batch is a matter of timing.
  const COUNTED: Record<string, string> = {
    campaigns: `{ campaigns(first: 100) { nodes { id company { name } metrics { sent }
      steps { template { name } emailAccount { email domain { domain } } }
      messages(first: 3) { nodes { id lead { email } } totalCount } enrollments(first: 2) { nodes { status } } } } }`,
    messages: `{ messages(first: 100) { nodes { id campaign { name } step { stepOrder } lead { email } parent { id }
      emailAccount { email } content { storageKey messages { id } } } } }`,
    companies: `{ companies { nodes { domains { nodes { emailAccounts { nodes { messages(first: 1) {
      nodes { id lead { email } } } } } } } } } }`,
  }
  let crowded: Workspace

  beforeAll(async () => {
    crowded = await foundTenant(tier)
    const names = Array.from({ length: 99 }, (_, n) => `Campaign ${n}`)
    const ids = await writeCampaigns(tier, crowded, names)
    await writeMessages(
      tier,
      crowded,
      ids.flatMap((campaignId) => Array.from({ length: 4 }, () => ({ campaignId }))),
    )
    const { tenantId, leadId } = crowded
    await tier.db.system.campaignEnrollment.createMany({
      data: ids.map((campaignId) => ({ tenantId, id: campaignId, campaignId, leadId })),
    })
  })

  async function statementsOf(query: string, workspace: Workspace): Promise<number> {
    const { statements } = await tier.db.statements.during(() => ask(query, {}, workspace))
    // Neither the relay's look nor what a new connection prepares.
    return statements.filter((text) => !/outbox_events|set_config/.test(text)).length
  }

  test.each(Object.keys(COUNTED))('%s: a hundred with everything in them cost what one costs', async (name) => {
    const query = COUNTED[name] ?? ''
    const single = await foundTenant(tier)
    await writeMessages(tier, single, [{}])
    const one = await statementsOf(query, single)
    expect(await statementsOf(query, crowded)).toBe(one)
    expect(one).toBeLessThanOrEqual(13)
  })

  test('a hundred references from another tier cost one statement', async () => {
    const ids = (await ask('{ campaigns(first: 100) { nodes { id } } }', {}, crowded)).campaigns.nodes
    const query = `query ($representations: [_Any!]!) { _entities(representations: $representations) { ... on Campaign { name } } }`
    const variables = { representations: ids.map(({ id }: { id: string }) => ({ __typename: 'Campaign', id })) }
    const { result, statements } = await tier.db.statements.during(() => ask(query, variables, crowded))
    expect(result._entities.every((campaign: unknown) => campaign !== null)).toBe(true)
    expect(statements.filter((text) => !/outbox_events|set_config/.test(text))).toHaveLength(1)
  })
})
