import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'graphql'
import { type OltpTier, SERVICE, STAFF, startOltpTier, userOf } from './oltpTier.ts'
import { writeMessages, writeSuppression } from './rows.ts'
import { foundTenant, type Workspace } from './workspace.ts'

let tier: OltpTier
type WithMail = Workspace & { messageId: string; conversationId: string }
let demo: WithMail
let rival: WithMail

const SHARED_KEY = 'mail/the-same-in-both'
const ABSENT = '01930000-0000-7000-8000-00000000dead'

async function foundWithMail() {
  const workspace = await foundTenant(tier)
  const messages = [{ storageKey: SHARED_KEY }, { direction: 'inbound' as const }]
  const [messageId = '', conversationId = ''] = await writeMessages(tier, workspace, messages)
  await writeSuppression(tier, workspace, `never@${workspace.domain}`)
  return { ...workspace, messageId, conversationId }
}

beforeAll(async () => {
  tier = await startOltpTier()
  demo = await foundWithMail()
  rival = await foundWithMail()
})
afterAll(() => tier?.stop())

const sdl = parse(readFileSync(new URL('../../../subgraphs/oltp/schema.graphql', import.meta.url), 'utf8'))
const objectTypes = sdl.definitions.filter((definition) => definition.kind === 'ObjectTypeDefinition')
const queryFields = objectTypes.find(({ name }) => name.value === 'Query')?.fields ?? []

/** The id of each entity in a tenant. */
const idOf: Record<string, (workspace: typeof demo) => string> = {
  Tenant: ({ tenantId }) => tenantId,
  User: ({ userId }) => userId,
  Company: ({ companyId }) => companyId,
  Campaign: ({ campaignId }) => campaignId,
  CampaignSequenceStep: ({ stepId }) => stepId,
  InboxMessageRef: ({ messageId }) => messageId,
  Lead: ({ leadId }) => leadId,
  Template: ({ templateId }) => templateId,
  Domain: ({ domainId }) => domainId,
  EmailAccount: ({ mailboxId }) => mailboxId,
  SmtpIpAddress: ({ addressId }) => addressId,
}
/** Entities that are not a tenant's own row; what is made when it is asked is tried behind every door (tests/isolation). */
const OTHER_ENTITIES = [
  ...['ContentObject', 'VpsInstance', 'CampaignPreflight', 'LeadStats', 'StoredFile'],
  ...['LeadImport', 'LeadExport'],
]

const ENTITY = 'query ($representations: [_Any!]!) { _entities(representations: $representations) { __typename } }'
const idsOfEntity = (typename: string) =>
  ENTITY.replace('{ __typename }', `{ ... on ${typename} { ${typename === 'ContentObject' ? 'storageKey' : 'id'} } }`)

describe('every entity', () => {
  test('is among those tried here', () => {
    const keyed = objectTypes.filter(({ directives }) => directives?.some(({ name }) => name.value === 'key'))
    expect(keyed.map(({ name }) => name.value).sort()).toEqual([...Object.keys(idOf), ...OTHER_ENTITIES].sort())
  })

  test.each(Object.keys(idOf))('%s: its tenant finds it; for another tenant it does not exist', async (typename) => {
    const id = idOf[typename]?.(demo)
    const representations = [id, ABSENT, 'no-id-at-all', ''].map((key) => ({ __typename: typename, id: key }))
    const own = await tier.ask(idsOfEntity(typename), { representations }, userOf(demo.tenantId))
    expect(own).toEqual({ data: { _entities: [{ id }, null, null, null] } })
    const foreign = await tier.ask(idsOfEntity(typename), { representations }, userOf(rival.tenantId))
    expect(foreign).toEqual({ data: { _entities: [null, null, null, null] } })
  })

  test.each(Object.keys(idOf).filter((typename) => typename !== 'SmtpIpAddress'))(
    '%s: staff and services, who have no tenant, find none',
    async (typename) => {
      const representations = [{ __typename: typename, id: idOf[typename]?.(demo) }]
      for (const caller of [STAFF, SERVICE]) {
        const answer = await tier.ask(idsOfEntity(typename), { representations }, caller)
        expect(answer).toEqual({ data: { _entities: [null] } })
      }
    },
  )

  test('VpsInstance exists for staff alone', async () => {
    const representations = [{ __typename: 'VpsInstance', id: demo.serverId }]
    const ask = async (caller: typeof STAFF) =>
      (await tier.ask(idsOfEntity('VpsInstance'), { representations }, caller)).data
    expect(await ask(STAFF)).toEqual({ _entities: [{ id: demo.serverId }] })
    for (const caller of [userOf(demo.tenantId), SERVICE]) expect(await ask(caller)).toEqual({ _entities: [null] })
  })

  test('ContentObject: under a key that two tenants have, each finds its own messages', async () => {
    const query = ENTITY.replace('{ __typename }', '{ ... on ContentObject { storageKey messages { id } } }')
    const keys = [SHARED_KEY, 'mail/absent', 'bad\0key', 'k'.repeat(501)]
    const representations = keys.map((storageKey) => ({ __typename: 'ContentObject', storageKey }))
    for (const workspace of [demo, rival]) {
      const { data } = await tier.ask(query, { representations }, userOf(workspace.tenantId))
      expect(data._entities.map(({ messages }: { messages: unknown }) => messages)).toEqual([
        [{ id: workspace.messageId }],
        [],
        [],
        [],
      ])
    }
    const { data } = await tier.ask(query, { representations }, STAFF)
    expect(data._entities[0]).toEqual({ storageKey: SHARED_KEY, messages: null })
  })
})

/** Query fields that find one thing by id. */
const lookups: Record<string, (workspace: typeof demo) => string> = {
  company: ({ companyId }) => companyId,
  campaign: ({ campaignId }) => campaignId,
  message: ({ messageId }) => messageId,
  conversation: ({ conversationId }) => conversationId,
  lead: ({ leadId }) => leadId,
  template: ({ templateId }) => templateId,
  domain: ({ domainId }) => domainId,
  emailAccount: ({ mailboxId }) => mailboxId,
}
/** Query fields that list a tenant's things; all of them have at least one. */
const LISTS = [
  'companies',
  'team',
  'campaigns',
  'messages',
  'conversations',
  'recentReplies',
  'leads',
  'templates',
  'domains',
  'emailAccounts',
  'suppressions',
  'domainIpAssignments',
]
const STAFF_FIELDS = ['vpsInstance', 'vpsInstances', 'smtpIp', 'smtpIps', 'outboxEvents']
const OWN_FIELDS = ['viewer', 'tenant', 'plans', 'subscription']
const SERVICE_FIELDS = ['outboxFrontier', 'mailboxesToPoll']

/** Query fields of other forms: they are tried behind every door (tests/isolation). */
const OTHER_FIELDS = [
  ...['campaignLeads', 'campaignPreflight', 'leadStats', 'sendDecision'],
  ...['previewTemplate', 'templateFolders', 'templateTags'],
  ...['importJob', 'leadImports', 'exportJob', 'leadExports', 'exportedLeads'],
]

describe('every query', () => {
  test('is among those tried here, or behind every door', () => {
    const tried = [
      ...Object.keys(lookups),
      ...LISTS,
      ...STAFF_FIELDS,
      ...OWN_FIELDS,
      ...SERVICE_FIELDS,
      ...OTHER_FIELDS,
    ]
    expect(queryFields.map(({ name }) => name.value).sort()).toEqual(tried.sort())
  })

  test.each(Object.keys(lookups))('%s: its tenant finds it; for another tenant it does not exist', async (field) => {
    const query = `query ($own: ID!, $absent: ID!) {
      own: ${field}(id: $own) { id } absent: ${field}(id: $absent) { id } malformed: ${field}(id: "x'--") { id }
    }`
    const variables = { own: lookups[field]?.(demo), absent: ABSENT }
    const nothing = { absent: null, malformed: null }
    expect((await tier.ask(query, variables, userOf(demo.tenantId))).data).toEqual({
      own: { id: variables.own },
      ...nothing,
    })
    expect(await tier.ask(query, variables, userOf(rival.tenantId))).toEqual({ data: { own: null, ...nothing } })
  })

  test.each(LISTS)("%s: lists the tenant's own and nothing else", async (field) => {
    const query = `{ ${field}(first: 100) { nodes { id } totalCount } }`
    const [own, foreign] = await Promise.all(
      [demo, rival].map(async ({ tenantId }) => (await tier.ask(query, {}, userOf(tenantId))).data[field]),
    )
    expect(own.nodes.length).toBeGreaterThan(0)
    expect(own.totalCount).toBe(own.nodes.length)
    expect(foreign.nodes).toHaveLength(own.nodes.length)
    const ownIds = own.nodes.map(({ id }: { id: string }) => id)
    expect(foreign.nodes.filter(({ id }: { id: string }) => ownIds.includes(id))).toEqual([])
  })

  test.each([...Object.keys(lookups), ...LISTS, 'tenant', 'plans', 'subscription'])(
    '%s: is not for staff or services',
    async (field) => {
      const isList = LISTS.includes(field)
      const argument = field in lookups ? `(id: "${ABSENT}")` : ''
      const query = `{ ${field}${argument} { ${isList ? 'nodes { id }' : 'id'} } }`
      for (const caller of [STAFF, SERVICE]) {
        const answer = await tier.ask(query, {}, caller)
        expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
        expect(answer.data).toEqual({ [field]: null })
      }
    },
  )

  test.each(STAFF_FIELDS)("%s: is not for tenants' users or services", async (field) => {
    const argument = field === 'vpsInstance' || field === 'smtpIp' ? `(id: "${ABSENT}")` : ''
    const query = `{ ${field}${argument} { ${argument ? 'id' : 'nodes { id }'} } }`
    for (const caller of [userOf(demo.tenantId), SERVICE]) {
      const answer = await tier.ask(query, {}, caller)
      expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
  })

  test.each(['outboxFrontier', 'mailboxesToPoll { email }'])('%s: is for services alone', async (field) => {
    for (const caller of [userOf(demo.tenantId), STAFF]) {
      expect((await tier.ask(`{ ${field} }`, {}, caller)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
    expect((await tier.ask(`{ ${field} }`, {}, SERVICE)).errors).toBeUndefined()
  })
})

describe('filters', () => {
  const byId: [string, string, (workspace: typeof demo) => string][] = [
    ['campaigns', 'companyId', ({ companyId }) => companyId],
    ['campaigns', 'emailAccountId', ({ mailboxId }) => mailboxId],
    ['messages', 'emailAccountId', ({ mailboxId }) => mailboxId],
    ['messages', 'campaignId', ({ campaignId }) => campaignId],
    ['messages', 'stepId', ({ stepId }) => stepId],
    ['messages', 'leadId', ({ leadId }) => leadId],
    ['messages', 'threadId', ({ messageId }) => messageId],
    ['conversations', 'emailAccountId', ({ mailboxId }) => mailboxId],
    ['conversations', 'campaignId', ({ campaignId }) => campaignId],
    ['conversations', 'leadId', ({ leadId }) => leadId],
    ['leads', 'campaignId', ({ campaignId }) => campaignId],
    ['domains', 'companyId', ({ companyId }) => companyId],
    ['emailAccounts', 'domainId', ({ domainId }) => domainId],
  ]

  test.each(byId)(
    "%s by %s: another tenant's id finds nothing, like one that doesn't exist",
    async (field, key, id) => {
      const find = async (value: string) => {
        const query = `{ ${field}(filter: { ${key}: ${JSON.stringify(value)} }) { nodes { id } totalCount } }`
        return (await tier.ask(query, {}, userOf(demo.tenantId))).data[field]
      }
      expect((await find(id(demo))).nodes.length).toBeGreaterThan(0)
      for (const value of [id(rival), ABSENT, 'x']) expect(await find(value)).toEqual({ nodes: [], totalCount: 0 })
    },
  )

  test("a cursor of another tenant's list shows nothing of theirs", async () => {
    const page = async (workspace: Workspace, after: string | null) => {
      const query = 'query ($after: String) { leads(first: 1, after: $after) { nodes { id } pageInfo { endCursor } } }'
      return (await tier.ask(query, { after }, userOf(workspace.tenantId))).data.leads
    }
    const { pageInfo } = await page(rival, null)
    const { nodes } = await page(demo, pageInfo.endCursor)
    expect(nodes.map(({ id }: { id: string }) => id)).not.toContain(rival.leadId)
  })
})
