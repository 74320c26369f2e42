import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { ErrorCode } from '#platform/errors.ts'
import { postGraphql, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant, type TestTenant } from '../support/tenants.ts'

const ABSENT = '01930000-0000-7000-8000-00000000dead'

let platform: TestPlatform
let demo: TestTenant
let rival: TestTenant
beforeAll(async () => {
  platform = await startPlatform()
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
  rival = await foundTenant(platform.tierClient('oltp'), 'rival')
}, START_TIMEOUT_MS)
afterAll(async () => {
  // Whatever was thrown at it, it is still there.
  const { data } = await platform.ask(
    '{ campaigns { nodes { id } } jobs { nodes { id } } notifications { nodes { id } } }',
  )
  expect(data).toMatchObject({ campaigns: { nodes: [{ id: demo.campaignId }] } })
  await platform.stop()
})

const codesOf = (errors: { extensions: { code: string } }[] | undefined) => [
  ...new Set(errors?.map((error) => error.extensions.code)),
]

describe.each(['campaigns', 'messages', 'jobs', 'deadLetters', 'notifications', 'emailEvents', 'leads', 'team'])(
  'a page of %s',
  (list) => {
    test.each<[string, string]>([
      ['a thousand million rows', 'first: 1000000000'],
      ['no rows', 'first: 0'],
      ['less than no rows', 'first: -1'],
      ['rows after a cursor that is none', 'after: "not a cursor"'],
      ['rows after an empty cursor', 'after: ""'],
      ['rows after a forged cursor', `after: "${Buffer.from('["2026-01-01","x\' OR 1=1"]').toString('base64url')}"`],
      ['rows after a very long cursor', `after: "${'A'.repeat(100_000)}"`],
    ])('of %s is INVALID_INPUT', async (_what, args) => {
      const { data, errors, text } = await platform.ask(
        `{ ${list}(${args}) { nodes { __typename } } viewer { roles } }`,
      )
      expect(codesOf(errors)).toEqual(['INVALID_INPUT'])
      expect(data).toEqual({ [list]: null, viewer: { roles: ['OWNER'] } })
      expect(text).not.toMatch(/select|stack|prisma|127\.0\.0\.1/i)
    })

    test('of more rows than a number can say is INVALID_INPUT', async () => {
      const { errors } = await platform.ask(`{ ${list}(first: 99999999999) { nodes { __typename } } }`)
      expect(codesOf(errors)).toEqual(['INVALID_INPUT'])
    })
  },
)

describe.each([
  ['campaign', 'id'],
  ['message', 'id'],
  ['job', 'id'],
  ['lead', 'id'],
  ['contentObject', 'storageKey'],
])('%s', (field, argument) => {
  test.each([
    ['a malformed id', 'not-an-id'],
    ['an empty id', ''],
    ['an id with SQL in it', "' OR 1=1 --"],
    ['an id with a null byte', 'a\\u0000b'],
    ['a very long id', 'a'.repeat(100_000)],
    ['an id that does not exist', ABSENT],
  ])('by %s is null, without an error', async (_what, id) => {
    const { data, errors } = await platform.ask(`{ ${field}(${argument}: "${id}") { __typename } }`)
    expect({ data, errors }).toEqual({ data: { [field]: null } })
  })
})

test("a rival's campaign is null, like one that does not exist", async () => {
  const query = 'query ($id: ID!) { campaign(id: $id) { id name analytics { sent } jobs { nodes { id } } } }'
  const theirs = await platform.ask(query, { id: rival.campaignId })
  const absent = await platform.ask(query, { id: ABSENT })
  expect([theirs.data, theirs.errors]).toEqual([absent.data, absent.errors])
  expect(theirs.data).toEqual({ campaign: null })
})

describe('a mutation', () => {
  test.each<[string, string, ErrorCode[]]>([
    ['of a job that does not exist', `retryJob(input: { id: "${ABSENT}" })`, ['NOT_FOUND']],
    ['of a job with a malformed id', 'cancelJob(input: { id: "x" })', ['INVALID_INPUT']],
    [
      'for a company that does not exist',
      `createCampaign(input: { companyId: "${ABSENT}", name: "x", idempotencyKey: "1" })`,
      ['NOT_FOUND'],
    ],
    [
      'with a malformed company',
      'createCampaign(input: { companyId: "x", name: "x", idempotencyKey: "2" })',
      ['INVALID_INPUT'],
    ],
  ])('%s says so and changes nothing', async (_what, mutation, codes) => {
    const { data, errors } = await platform.ask(`mutation { ${mutation} { __typename } }`)
    expect(data).toBeNull()
    expect(codesOf(errors)).toEqual(codes)
  })

  test("for a rival's company is NOT_FOUND, like for one that does not exist", async () => {
    const input = { companyId: rival.companyId, name: 'x', idempotencyKey: '3' }
    const create = 'mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { __typename } }'
    const { data, errors } = await platform.ask(create, { input })
    expect([data, ...codesOf(errors)]).toEqual([null, 'NOT_FOUND'])
  })

  test('of no bytes of mail is INVALID_INPUT, of too many LIMIT_REACHED', async () => {
    const ingest = 'mutation ($raw: String!) { ingestMessage(input: { raw: $raw }) { duplicate } }'
    expect(codesOf((await platform.ask(ingest, { raw: '' })).errors)).toEqual(['INVALID_INPUT'])
    const overMail = Buffer.alloc(26 * 1024 * 1024, 'a').toString('base64')
    expect(codesOf((await platform.ask(ingest, { raw: overMail })).errors)).toEqual(['LIMIT_REACHED'])
    const overAll = 'a'.repeat(41 * 1024 * 1024)
    const { status, errors } = await platform.ask(ingest, { raw: overAll })
    expect([status, codesOf(errors)]).toEqual([413, ['LIMIT_REACHED']])
    expect((await platform.ask('{ messages { totalCount } }')).data).toEqual({ messages: { totalCount: 0 } })
  })

  test('that only our own processes may ask for does not exist for clients', async () => {
    const { status, errors } = await platform.ask('mutation { enqueueJobs(jobs: []) { key } }')
    expect([status, codesOf(errors)]).toEqual([400, ['INVALID_INPUT']])
  })
})

describe('a request', () => {
  const post = async (body: unknown, headers: Record<string, string> = {}) => {
    const authorization = `Bearer ${await platform.token()}`
    const { status, errors, text } = await postGraphql(platform.url, body, { authorization, ...headers })
    expect(text).not.toMatch(/stack|node_modules|127\.0\.0\.1/)
    return [status, ...codesOf(errors)]
  }

  test.each<[string, unknown]>([
    ['that is not JSON', 'not json'],
    ['that is empty', ''],
    ['that is a list', []],
    ['that is null', 'null'],
    ['without a query', {}],
    ['whose query is a number', { query: 5 }],
    ['whose query does not parse', { query: '{ viewer {' }],
    ['whose query asks for nothing there is', { query: '{ nothing }' }],
    ['whose variables are text', { query: '{ __typename }', variables: 'x' }],
    [
      'with a variable of another type',
      { query: 'query ($f: Int) { campaigns(first: $f) { totalCount } }', variables: { f: 'x' } },
    ],
    ['without a variable it needs', { query: 'query ($i: ID!) { campaign(id: $i) { id } }' }],
    ['with an enum value there is not', { query: '{ jobs(filter: { status: NEVER }) { totalCount } }' }],
    ['nested ten thousand deep', { query: '{ a'.repeat(10_000) }],
  ])('%s is INVALID_INPUT', async (_what, body) => {
    const [status, code] = await post(body)
    expect(code).toBe('INVALID_INPUT')
    expect(status).toBe(400)
  })

  test('with a range of no dates is INVALID_INPUT, by the tier that was to read it', async () => {
    const range = '{ from: "yesterday", to: "2026-13-45T00:00:00Z" }'
    const { data, errors } = await platform.ask(`{ campaigns { nodes { name analytics(range: ${range}) { sent } } } }`)
    expect(codesOf(errors)).toEqual(['INVALID_INPUT'])
    expect(data).toEqual({ campaigns: { nodes: [{ name: 'demo campaign', analytics: null }] } })
  })

  test('of another content type is refused', async () => {
    expect(await post('{ "query": "{ __typename }" }', { 'content-type': 'text/plain' })).toEqual([
      400,
      'INVALID_INPUT',
    ])
  })

  test('whose aliases are names of JavaScript is answered like any other', async () => {
    const { data, errors } = await platform.ask('{ constructor: viewer { roles } toString: viewer { roles } }')
    expect(errors).toBeUndefined()
    expect(data).toEqual({ constructor: { roles: ['OWNER'] }, toString: { roles: ['OWNER'] } })
    await platform.ask('{ __proto__: viewer { polluted: roles } }').catch(() => undefined)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})
