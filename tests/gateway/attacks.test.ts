import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { fastest } from '../support/fastest.ts'
import { RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'

let platform: TestPlatform
let token: string
beforeAll(async () => {
  platform = await startPlatform({ tiers: [] })
  token = await platform.token()
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

const FACES = ['lean', 'apollo'] as const
const JSON_TYPE = 'application/json'

const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
  fetch(platform.url, {
    method: 'POST',
    headers: { 'content-type': JSON_TYPE, authorization: `Bearer ${token}`, ...headers },
    body: body as string,
  })
const ask = async (query: string) => {
  const response = await post(JSON.stringify({ query }))
  const answer = (await response.json()) as {
    data?: unknown
    errors?: { message: string; extensions: { code: string } }[]
  }
  return { ...answer, code: answer.errors?.[0]?.extensions.code }
}

describe.each(FACES)('behind the %s face', (face) => {
  beforeAll(async () => {
    await platform.stopGateway()
    await platform.startGateway({ GATEWAY_FACE: face })
    await ask('{ viewer { roles } }')
  }, START_TIMEOUT_MS)
  // Whatever was thrown at it, it is still there.
  afterAll(async () => expect((await ask('{ __typename }')).data).toEqual({ __typename: 'Query' }))

  const bomb = (links: number) =>
    `{ campaigns { nodes { ...F0 } } } ${Array.from(
      { length: links },
      (_, n) =>
        `fragment F${n} on Campaign { a: company { campaigns { nodes { ...F${n + 1} } } } b: company { campaigns { nodes { ...F${n + 1} } } } }`,
    ).join(' ')} fragment F${links} on Campaign { id }`
  const deep = (levels: number) =>
    `{ campaigns { nodes ${'{ company { campaigns { nodes '.repeat(levels)}{ id }${' } } }'.repeat(levels)} } }`

  test.each([
    [
      'a field under a hundred aliases',
      () => `{ ${Array.from({ length: 100 }, (_, n) => `a${n}: viewer { roles }`).join(' ')} }`,
      'LIMIT_REACHED',
      50,
    ],
    ['a query twenty deep', () => deep(6), 'LIMIT_REACHED', 50],
    ['a fragment bomb of 2^22 fields', () => bomb(22), 'LIMIT_REACHED', 500],
    [
      'fragments in a circle',
      () =>
        '{ campaigns { ...A } } fragment A on CampaignConnection { ...B } fragment B on CampaignConnection { ...A }',
      'INVALID_INPUT',
      200,
    ],
    ['twenty thousand levels', () => `${'{ a '.repeat(20_000)}${'}'.repeat(20_000)}`, 'INVALID_INPUT', 500],
    [
      'a directive five hundred times',
      () => `{ viewer { roles ${'@include(if: true) '.repeat(500)} } }`,
      'LIMIT_REACHED',
      200,
    ],
    ['a field ten thousand times', () => `{ viewer { ${'roles '.repeat(10_000)} } }`, 'INVALID_INPUT', 200],
    ['an alias that would be a prototype', () => '{ __proto__: viewer { roles } }', 'INVALID_INPUT', 50],
    ['a subscription', () => 'subscription { viewer { roles } }', 'INVALID_INPUT', 200],
    ['internal operations', () => '{ outboxFrontier }', 'INVALID_INPUT', 200],
    ['representations', () => '{ _entities(representations: []) { __typename } }', 'INVALID_INPUT', 200],
  ])('%s is refused before it costs anything', async (_what, query, code, withinMs) => {
    const text = query()
    const took = await fastest(async () => {
      const refused = await ask(text)
      expect([refused.code, refused.data ?? null]).toEqual([code, null])
    })
    // A machine at work elsewhere is slower, but what would take exponential time takes far more than ten times as long.
    expect(took).toBeLessThan(withinMs * 10)
    expect(({} as Record<string, unknown>).roles).toBeUndefined()
  })

  test('no error makes suggestions', async () => {
    const { errors } = await ask('{ campaign(ids: 1) { idd } viewr { roles } }')
    expect(JSON.stringify(errors)).not.toMatch(/did you mean/i)
  })

  test('a body of 20 MB that is no mail is refused, and one above the limit is not read to its end', async () => {
    const response = await post(JSON.stringify({ query: `{ ${'a '.repeat(10_000_000)} }` }))
    expect(response.status).toBeLessThan(500)
    expect(JSON.stringify(await response.json())).toContain('INVALID_INPUT')
    const tooLarge = await post('x'.repeat(45 * 1024 * 1024)).catch((error: Error) => error)
    if (tooLarge instanceof Response) expect(tooLarge.status).toBe(413)
  }, 30_000)

  test('a packed body is not unpacked', async () => {
    const packed = gzipSync(Buffer.alloc(200 * 1024 * 1024, 'a'))
    const response = await post(packed, { 'content-encoding': 'gzip' })
    expect([400, 415]).toContain(response.status)
  }, 30_000)

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'a page elsewhere cannot have a browser post %s',
    async (contentType) => {
      const response = await post(JSON.stringify({ query: '{ __typename }' }), { 'content-type': contentType })
      expect([400, 415]).toContain(response.status)
      expect(await response.text()).not.toContain('"data"')
    },
  )

  test('several operations in a list are not taken', async () => {
    const response = await post(JSON.stringify([{ query: '{ __typename }' }, { query: '{ __typename }' }]))
    expect(response.status).toBe(400)
  })

  test('nothing is changed by GET', async () => {
    const url = `${platform.url}?query=${encodeURIComponent('mutation { cancelJob(input: { id: "x" }) { job { id } } }')}`
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}`, 'apollo-require-preflight': '1' },
    })
    expect([400, 404, 405]).toContain(response.status)
  })

  test('a document is not had under the hash of another', async () => {
    const persisted = (sha256Hash: string, query?: string) =>
      JSON.stringify({ query, extensions: { persistedQuery: { version: 1, sha256Hash } } })
    const hash = 'e'.repeat(64)
    const poison = (await (await post(persisted(hash, '{ __typename }'))).json()) as {
      errors: { extensions: object }[]
    }
    expect(poison.errors[0]?.extensions).toMatchObject({ code: 'INVALID_INPUT' })
    const asked = (await (await post(persisted(hash))).json()) as { errors: { message: string }[] }
    expect(asked.errors[0]?.message).toBe('PersistedQueryNotFound')
  })
})

test('who sends its request a byte at a time is not waited for', async () => {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(platform.url).port) })
  socket.on('error', () => {})
  socket.write('POST /graphql HTTP/1.1\r\nhost: x\r\n')
  const closed = new Promise<boolean>((resolve) => socket.once('close', () => resolve(true)))
  const drip = setInterval(() => socket.write('x: y\r\n'), 1_000)
  const ended = await Promise.race([
    closed,
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 20_000)),
  ])
  clearInterval(drip)
  socket.destroy()
  expect(ended).toBe(true)
}, 30_000)

describe('where only registered operations may be asked', () => {
  beforeAll(async () => {
    await platform.stopGateway()
    await platform.startGateway({ OPERATIONS: 'registered' })
  }, START_TIMEOUT_MS)

  test('a client gets no other answered, introspection among them; staff do', async () => {
    expect((await ask('{ __schema { queryType { name } } }')).code).toBe('FORBIDDEN')
    const member = { kind: 'staff', tenantId: null, userId: null, roles: ['support'] } as const
    const staff = await platform.ask('{ __schema { queryType { name } } }', {}, member)
    expect(staff.data).toEqual({ __schema: { queryType: { name: 'Query' } } })
  })
})

describe('who asks too often', () => {
  beforeAll(async () => {
    await platform.stopGateway()
    await platform.startGateway({ RATE_LIMIT_PER_TENANT: '3' })
  }, START_TIMEOUT_MS)

  test('is told when to come again, while others are served', async () => {
    const statuses: number[] = []
    for (let n = 0; n < 4; n++) statuses.push((await post(JSON.stringify({ query: '{ __typename }' }))).status)
    expect(statuses).toEqual([200, 200, 200, 429])
    const refused = await post(JSON.stringify({ query: '{ __typename }' }))
    expect(refused.headers.get('ratelimit-remaining')).toBe('0')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ errors: [{ extensions: { code: 'LIMIT_REACHED', limit: 'rate' } }] })
    expect((await platform.ask('{ __typename }', {}, RIVAL)).data).toEqual({ __typename: 'Query' })
  })
})
