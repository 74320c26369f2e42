import { createServer, type RequestListener, type Server } from 'node:http'
import type { FetchNode } from '@apollo/query-planner'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { verifyCaller } from '#platform/caller/caller.ts'
import { makeLog } from '#platform/log.ts'
import { TierClient } from '../../gateway/tiers/tierClient.ts'
import { eventually } from '../support/eventually.ts'
import { DEMO, postGraphql, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'

// A tier that misbehaves in ways ours do not: the gateway must not depend on their good manners.

let platform: TestPlatform
let tier: Server
let answer: RequestListener
const received: { headers: Record<string, unknown>; body: string }[] = []

beforeAll(async () => {
  platform = await startPlatform({ tiers: [] })
  // The same gateway again, with less patience; but more than this process may stand still for.
  await platform.stopGateway()
  await platform.startGateway({ TIER_TIMEOUT_MS: '3000' })
  tier = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() })
      answer(request, response)
    })
  })
  const { port } = new URL(platform.tierUrl('oltp'))
  await new Promise<void>((resolve) => tier.listen(Number(port), '127.0.0.1', resolve))
}, START_TIMEOUT_MS)
afterAll(async () => {
  await platform.stopGateway()
  tier.closeAllConnections()
  await new Promise((resolve) => tier.close(resolve))
  await platform.stop()
})
beforeEach(() => {
  received.length = 0
})

const json =
  (body: unknown, status = 200): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
const failure = { message: 'the oltp tier does not answer', extensions: { code: 'UNAVAILABLE', tier: 'oltp' } }

describe('a tier is UNAVAILABLE', () => {
  test.each<[string, RequestListener]>([
    ['that never answers', () => {}],
    ['that hangs up', (request) => request.socket.destroy()],
    [
      'that stops in the middle of its answer',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' })
        response.write('{"data":')
        setTimeout(() => response.destroy(), 10)
      },
    ],
    ['that answers a page of HTML', json('<h1>Bad gateway at 10.0.0.1</h1>', 502)],
    ['that answers neither data nor errors', json({})],
    ['that answers something else', json('"text"')],
  ])('%s', async (_what, behaviour) => {
    answer = behaviour
    const { status, data, errors, text } = await platform.ask('{ viewer { roles } }')
    expect({ status, data, errors }).toEqual({ status: 200, data: { viewer: null }, errors: [failure] })
    expect(text).not.toMatch(/10\.0\.0\.1|127\.0\.0\.1|stack/)
  })
})

describe('a tier that answers nobody', () => {
  const askTimes = (count: number) =>
    Promise.all(Array.from({ length: count }, () => platform.ask('{ viewer { roles } }')))
  const fine = json({ data: { viewer: { roles: ['OWNER'] } } })
  const isFine = async () => (await platform.ask('{ viewer { roles } }')).data.viewer !== null

  test('is left alone after ten fetches on end, and asked again until it answers', async () => {
    answer = () => {}
    await askTimes(10)
    received.length = 0
    const answers = await askTimes(20)
    expect(received.length).toBeLessThanOrEqual(1)
    expect(answers.map(({ data, errors }) => ({ data, errors }))).toEqual(
      Array(20).fill({ data: { viewer: null }, errors: [failure] }),
    )
    answer = fine
    await eventually(isFine, Boolean)
    expect((await askTimes(20)).every(({ errors }) => errors === undefined)).toBe(true)
  })

  test('is another than one that is asked too much by somebody: others are answered all the time', async () => {
    answer = (request, response) => {
      if (!received.at(-1)?.body.includes('tenant')) fine(request, response)
    }
    const tooMuch = Promise.all(Array.from({ length: 15 }, () => platform.ask('{ viewer { tenant { name } } }')))
    let isOver = false
    const slow = tooMuch.finally(() => {
      isOver = true
    })
    while (!isOver) expect(await isFine()).toBe(true)
    expect((await slow).every(({ errors }) => errors?.[0]?.extensions.code === 'UNAVAILABLE')).toBe(true)
    expect(await isFine()).toBe(true)
  })
})

describe('an error of a tier', () => {
  const withError = (error: object) => json({ data: { viewer: null }, errors: [error] })

  test('passes with its code, its path and the tier’s name', async () => {
    answer = withError({ message: 'not yours', path: ['viewer'], extensions: { code: 'FORBIDDEN', field: 'x' } })
    const { errors } = await platform.ask('{ viewer { roles } }')
    expect(errors).toEqual([
      { message: 'not yours', path: ['viewer'], extensions: { code: 'FORBIDDEN', tier: 'oltp', field: 'x' } },
    ])
  })

  test('with a code we do not know is masked, whatever it says', async () => {
    for (const extensions of [undefined, {}, { code: 'INTERNAL_SERVER_ERROR', stacktrace: ['at /srv/app.ts:1'] }]) {
      answer = withError({ message: 'select * from secrets', extensions })
      const { errors, text } = await platform.ask('{ viewer { roles } }')
      expect(errors?.[0]).toMatchObject({ message: 'internal error', extensions: { code: 'INTERNAL', tier: 'oltp' } })
      expect(text).not.toMatch(/secrets|stack|srv/)
    }
  })

  test('that means our own keys or clocks are wrong is never the client’s UNAUTHENTICATED', async () => {
    answer = json(
      { errors: [{ message: 'a valid caller header is required', extensions: { code: 'UNAUTHENTICATED' } }] },
      401,
    )
    const { status, errors } = await platform.ask('{ viewer { roles } }')
    expect(status).toBe(200)
    expect(errors).toEqual([{ message: 'internal error', extensions: { code: 'INTERNAL', tier: 'oltp' } }])
  })
})

describe('what a tier is sent', () => {
  test('is the query and the caller, and nothing else of the client’s request', async () => {
    answer = json({ data: { viewer: { roles: ['OWNER'] } } })
    const headers = {
      authorization: `Bearer ${await platform.token()}`,
      cookie: 'session=1',
      'x-request-id': 'client-request-1',
      'x-forwarded-for': '1.2.3.4',
      'x-penguin-caller': 'forged',
      'accept-language': 'tlh',
    }
    const { headers: answered, extensions } = await postGraphql(
      platform.url,
      { query: '{ viewer { roles } }' },
      headers,
    )
    expect(answered.get('x-request-id')).toBe('client-request-1')
    expect(extensions).toEqual({ requestId: 'client-request-1' })
    const [sent] = received
    expect(Object.keys(sent?.headers ?? {}).sort()).toEqual(
      ['connection', 'content-length', 'content-type', 'host', 'x-penguin-caller'].sort(),
    )
    const keys = new Map([['gateway', platform.key('gateway', 'oltp')]])
    expect(verifyCaller(String(sent?.headers['x-penguin-caller']), keys, 'oltp')).toEqual({
      ...DEMO,
      from: 'gateway',
      requestId: 'client-request-1',
    })
    expect(JSON.parse(sent?.body ?? '')).toEqual({ query: expect.stringContaining('viewer'), variables: {} })
  })

  test('is signed once per request and tier', async () => {
    answer = json({ data: {} })
    const edge = {
      from: 'gateway',
      to: 'oltp',
      key: platform.key('gateway', 'oltp'),
      url: platform.tierUrl('oltp'),
    } as const
    const client = new TierClient(edge, { timeoutMs: 10_000, maxAnswerBytes: 1_000 }, makeLog('test', 'silent'))
    const node = { kind: 'Fetch', serviceName: 'oltp', operationKind: 'query' } as FetchNode
    const requests = ['first', 'second'].map((requestId) => ({
      caller: { ...DEMO, requestId },
      signed: new Map(),
      log: makeLog('test', 'silent'),
      expiresAt: Date.now() + 60_000,
    }))
    for (const context of requests) {
      for (let fetch = 0; fetch < 3; fetch += 1) await client.fetch('{"query":"{ a }"}', context, node)
    }
    await client.close()
    const headers = received.map((request) => request.headers['x-penguin-caller'])
    expect(headers).toHaveLength(6)
    expect([new Set(headers.slice(0, 3)).size, new Set(headers.slice(3)).size, new Set(headers).size]).toEqual([
      1, 1, 2,
    ])
  })

  test('has a new request id when the client’s is not one', async () => {
    answer = json({ data: { viewer: null } })
    for (const id of ['x', 'a b c d e f g h', 'x'.repeat(100), '<script>alert(1)</script>']) {
      const headers = { authorization: `Bearer ${await platform.token()}`, 'x-request-id': id }
      const { extensions } = await postGraphql(platform.url, { query: '{ viewer { roles } }' }, headers)
      expect(extensions?.requestId).toMatch(/^[0-9a-f-]{36}$/)
    }
  })
})
