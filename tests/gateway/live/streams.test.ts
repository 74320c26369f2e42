import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createClient } from 'graphql-sse'
import { lowestIdAt, writePosition } from '#platform/live/position.ts'
import { startRedis } from '#platform/local/redis.ts'
import { readRegisteredOperations } from '../../../gateway/registry/registeredOperations.ts'
import { type OpenStreamOptions, openStream, type TestStream } from '../../support/eventStream.ts'
import { eventually } from '../../support/eventually.ts'
import { findFreePort } from '../../support/freePort.ts'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { makeMail } from '../../support/mails.ts'
import { foundTenant, type TestTenant } from '../../support/tenants.ts'

const MAIL = 'subscription { messageReceived { id subject content { text } } }'
const QUEUES = 'subscription { queueDepths { name } }'

/** Gateways are started anew here, and mail comes in by the dozen: a busy machine takes its time. */
jest.setTimeout(90_000)

let platform: TestPlatform
let demo: TestTenant
const open: TestStream[] = []

beforeAll(async () => {
  platform = await startPlatform()
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
  await foundTenant(platform.tierClient('oltp'), 'rival')
}, START_TIMEOUT_MS)
afterEach(async () => {
  for (const stream of open.splice(0)) await stream.close()
  await eventually(countStreams, (count) => count === 0)
})
afterAll(() => platform?.stop())

async function subscribe(query: string | undefined, options: OpenStreamOptions = {}): Promise<TestStream> {
  const stream = await openStream(platform, query, options)
  open.push(stream)
  return stream
}

async function ingest(subject: string, body = 'Hello.'): Promise<string> {
  const text = 'mutation ($input: IngestMessageInput!) { ingestMessage(input: $input) { message { id } } }'
  const raw = makeMail({ headers: { To: demo.mailbox, Subject: subject }, body })
  const { data, errors } = await platform.ask(text, { input: { raw } })
  expect(errors).toBeUndefined()
  return data.ingestMessage.message.id
}

async function ingestAll(subjects: readonly string[]): Promise<void> {
  for (const subject of subjects) await ingest(subject)
}

async function subjectsOf(stream: TestStream, count: number): Promise<string[]> {
  const subjects: string[] = []
  while (subjects.length < count) subjects.push((await stream.next()).data.messageReceived.subject)
  return subjects
}

async function restartGateway(changes: Record<string, string> = {}): Promise<void> {
  await platform.stopGateway()
  await platform.startGateway(changes)
}

async function countStreams(): Promise<number> {
  const metrics = await (await fetch(platform.url.replace('graphql', 'metrics'))).text()
  return Number(/^graphql_streams\{[^}]*\} (\d+)/m.exec(metrics)?.[1])
}

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `mail ${from + n}`)

describe('from an earlier event on', () => {
  test('nothing is missed and nothing comes twice, over a restart of the gateway', async () => {
    const before = await subscribe(MAIL)
    await ingest('seen')
    const { id } = await before.next()
    await platform.stopGateway()
    await platform.startGateway()
    const missed = numbered(25)
    await ingestAll(missed)
    const after = await subscribe(MAIL, { lastEventId: id })
    const told: string[] = []
    let middle: string | undefined
    for (let n = 0; n < missed.length; n += 1) {
      const { data, id: position } = await after.next()
      told.push(data.messageReceived.subject)
      if (n === 11) middle = position
    }
    expect(told).toEqual(missed)
    await ingest('live again')
    expect(await subjectsOf(after, 1)).toEqual(['live again'])
    const again = await subscribe(MAIL, { lastEventId: middle })
    expect(await subjectsOf(again, 14)).toEqual([...missed.slice(12), 'live again'])
    expect(await again.within(300)).toEqual([])
  })

  test('before the first event too: the position comes with the beginning of the stream', async () => {
    const before = await subscribe(MAIL)
    const { id } = await before.until((event) => event.id !== undefined)
    await before.close()
    await ingest('in between')
    const after = await subscribe(MAIL, { lastEventId: id })
    expect(await subjectsOf(after, 1)).toEqual(['in between'])
  })

  test('too long ago is told as an event of its own, and the stream goes on from now', async () => {
    await ingest('before')
    const old = writePosition({ floor: lowestIdAt(Date.now() - 25 * 60 * 60 * 1000), told: [] })
    const stream = await subscribe(MAIL, { lastEventId: old })
    const { data, errors } = await stream.next()
    expect([data, errors?.[0]?.extensions]).toEqual([null, { code: 'LIMIT_REACHED', limit: 'resume', refetch: true }])
    await ingest('after')
    expect(await subjectsOf(stream, 1)).toEqual(['after'])
  })

  test("another tenant's position shows nothing of that tenant's", async () => {
    const stream = await subscribe(MAIL)
    await ingest('ours')
    const { id } = await stream.next()
    await ingest('ours too')
    const foreign = await subscribe(MAIL, { as: RIVAL, lastEventId: id })
    expect(await foreign.within(500)).toEqual([])
  })

  test('what is no position is refused', async () => {
    const { response, refusal } = await subscribe(MAIL, { lastEventId: 'yesterday' })
    expect([response.status, refusal?.errors?.[0]?.extensions.code]).toEqual([400, 'INVALID_INPUT'])
  })
})

describe('what may be subscribed to', () => {
  const refusals: [string, string | undefined, number, string][] = [
    ['a query', '{ queues { name } }', 400, 'INVALID_INPUT'],
    ['a mutation', 'mutation { markAllRead { count } }', 400, 'INVALID_INPUT'],
    ['two at once', 'subscription { queueDepths { name } messageReceived { id } }', 400, 'INVALID_INPUT'],
    ['what is not there', 'subscription { everything { id } }', 400, 'INVALID_INPUT'],
    ['what cannot be read', 'subscription {', 400, 'INVALID_INPUT'],
    ['nothing', undefined, 400, 'INVALID_INPUT'],
    ['an unknown hash', undefined, 404, 'NOT_FOUND'],
    ['more than any operation may', `subscription { queueDepths { ${'a: name '.repeat(60)} } }`, 413, 'LIMIT_REACHED'],
  ]
  const bomb = Array.from({ length: 22 }, (_, n) => `fragment F${n} on JobQueue { ...F${n + 1} ...F${n + 1} }`)
  refusals.push(
    [
      'a fragment bomb',
      `subscription { queueDepths { ...F0 } } ${bomb.join(' ')} fragment F22 on JobQueue { name }`,
      413,
      'LIMIT_REACHED',
    ],
    ['20,000 fields within each other', `subscription ${'{ a '.repeat(20_000)}`, 400, 'INVALID_INPUT'],
    ['an alias that objects inherit', 'subscription { __proto__: queueDepths { name } }', 400, 'INVALID_INPUT'],
  )
  test.each(refusals)('not %s', async (what, query, status, code) => {
    const body = what === 'an unknown hash' ? { documentId: 'a'.repeat(64) } : {}
    const { response, refusal } = await subscribe(query, { body })
    expect([response.status, refusal?.errors?.[0]?.extensions.code]).toEqual([status, code])
    expect(await countStreams()).toBe(0)
  })

  test('nothing without a token, or without accepting a stream', async () => {
    const ask = async (headers: Record<string, string>) => {
      const body = JSON.stringify({ query: QUEUES })
      const all = { 'content-type': 'application/json', ...headers }
      return (await fetch(`${platform.url}/stream`, { method: 'POST', headers: all, body })).status
    }
    expect(await ask({ accept: 'text/event-stream' })).toBe(401)
    expect(await ask({ accept: 'application/json', authorization: `Bearer ${await platform.token()}` })).toBe(400)
  })

  test('fragments, aliases and directives are as in a query', async () => {
    const query = `subscription Depths($no: Boolean!) { ...All }
      fragment All on Subscription { depths: queueDepths { ...Queue } }
      fragment Queue on JobQueue { called: name isActive @skip(if: $no) }`
    const stream = await subscribe(query, { variables: { no: true } })
    const { data } = await stream.next()
    expect(data.depths).toContainEqual({ called: 'email-sending' })
  })

  test('by GET as well, for clients that can do no other', async () => {
    const url = `${platform.url}/stream?query=${encodeURIComponent(QUEUES)}`
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${await platform.token()}` }
    const controller = new AbortController()
    const response = await fetch(url, { headers, signal: controller.signal })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
    controller.abort()
  })

  test('whichever face answers queries', async () => {
    await restartGateway({ GATEWAY_FACE: 'apollo' })
    expect((await (await subscribe(QUEUES)).next()).data.queueDepths.length).toBeGreaterThan(5)
    await restartGateway()
  })

  test('a schema says what', async () => {
    const { data } = await platform.ask('{ __schema { subscriptionType { fields { name description } } } }')
    const { fields } = data.__schema.subscriptionType
    expect(fields).toContainEqual({
      name: 'messageReceived',
      description: expect.stringContaining('Mail that comes in'),
    })
  })

  test('in production registered documents only, by text or hash', async () => {
    await restartGateway({ OPERATIONS: 'registered' })
    const refused = await subscribe(QUEUES)
    expect([refused.response.status, refused.refusal?.errors?.[0]?.extensions.code]).toEqual([403, 'FORBIDDEN'])
    const registered = readRegisteredOperations().find(({ name }) => name === 'QueueDepths')
    expect(registered?.type).toBe('subscription')
    for (const stream of [
      await subscribe(registered?.body),
      await subscribe(undefined, { body: { documentId: registered?.id } }),
    ]) {
      expect((await stream.next()).data.queueDepths.length).toBeGreaterThan(5)
    }
    await restartGateway()
  })

  test('/graphql itself serves none', async () => {
    const { errors } = await platform.ask(QUEUES)
    expect(errors).toMatchObject([{ extensions: { code: 'INVALID_INPUT' } }])
  })
})

describe('how many streams may be open', () => {
  test('of one tenant is limited, others are let in, and whoever leaves makes room', async () => {
    await restartGateway({ MAX_STREAMS_PER_TENANT: '2' })
    const first = await subscribe(QUEUES)
    await subscribe(QUEUES)
    const refused = await subscribe(QUEUES)
    expect([refused.response.status, refused.refusal?.errors?.[0]?.extensions]).toMatchObject([
      429,
      { code: 'LIMIT_REACHED', limit: 'streams', max: 2 },
    ])
    expect((await subscribe(QUEUES, { as: RIVAL })).response.status).toBe(200)
    await first.close()
    await eventually(countStreams, (count) => count === 2)
    expect((await subscribe(QUEUES)).response.status).toBe(200)
    await restartGateway()
  })

  test('from one address too, whoever they are', async () => {
    await restartGateway({ MAX_STREAMS_PER_ADDRESS: '1' })
    expect((await subscribe(QUEUES)).response.status).toBe(200)
    expect((await subscribe(QUEUES, { as: RIVAL })).response.status).toBe(429)
    await restartGateway()
  })

  test('subscribing counts as a request', async () => {
    await restartGateway({ RATE_LIMIT_PER_TENANT: '1' })
    expect((await subscribe(QUEUES)).response.headers.get('ratelimit-remaining')).toBe('0')
    expect((await subscribe(QUEUES)).response.status).toBe(429)
    await restartGateway()
  })
})

describe('a stream ends', () => {
  test('with the token, and says so', async () => {
    const stream = await subscribe(QUEUES, { as: { token: await platform.token(DEMO, { ttlSeconds: 2 }) } })
    const events = await stream.finish()
    const [told, complete] = events.slice(-2)
    expect(told?.data?.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED')
    expect(complete?.event).toBe('complete')
  })

  test('without a word when the gateway stops, so that its client connects again and misses nothing', async () => {
    const token = await platform.token()
    const told: string[] = []
    let lastEventId = ''
    const client = createClient({
      url: `${platform.url}/stream`,
      headers: () => ({ authorization: `Bearer ${token}`, ...(lastEventId && { 'last-event-id': lastEventId }) }),
      retryAttempts: 200,
      retry: () => sleep(100),
    })
    let isLost = false
    const dispose = client.subscribe<{ messageReceived: { subject: string } }, { eventId: string }>(
      { query: MAIL },
      {
        next({ data, extensions }) {
          told.push(data?.messageReceived.subject ?? '')
          lastEventId = String(extensions?.eventId)
        },
        error: () => {
          isLost = true
        },
        complete: () => {
          isLost = true
        },
      },
    )
    const watcher = await subscribe(MAIL)
    await eventually(countStreams, (count) => count === 2)
    await ingest('one')
    await eventually(
      async () => told.length,
      (count) => count === 1,
    )
    await watcher.next()
    await platform.stopGateway()
    const events = await watcher.finish()
    expect(events.filter(({ event }) => event === 'complete')).toEqual([])
    await platform.startGateway()
    await ingest('two')
    await eventually(
      async () => told.length,
      (count) => count === 2,
    )
    await ingest('three')
    await eventually(
      async () => told,
      (subjects) => subjects.length === 3,
    )
    expect([told, isLost]).toEqual([['one', 'two', 'three'], false])
    dispose()
    client.dispose()
  })

  test('before it has begun, when the gateway stops meanwhile: its client is told to connect again', async () => {
    const silent = createServer(() => {})
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    await restartGateway({ OLTP_URL: `http://127.0.0.1:${port}/graphql`, TIER_TIMEOUT_MS: '5000' })
    const asked = subscribe(MAIL)
    await eventually(countStreams, (count) => count === 1)
    await platform.stopGateway()
    const { response, refusal } = await asked
    expect([response.status, refusal?.errors?.[0]?.extensions.code]).toEqual([503, 'UNAVAILABLE'])
    silent.closeAllConnections()
    silent.close()
    await platform.startGateway()
  })

  test('for a client that takes nothing, while the others go on', async () => {
    await restartGateway({ STREAM_STALL_MS: '5000' })
    const socketless = request(`${platform.url}/stream`, {
      method: 'POST',
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        authorization: `Bearer ${await platform.token()}`,
      },
    })
    socketless.on('error', () => {})
    socketless.end(JSON.stringify({ query: MAIL }))
    const [response] = await once(socketless, 'response')
    response.on('error', () => {})
    response.pause()
    const quick = await subscribe(MAIL)
    const body = `${'Much to say. '.repeat(5)}\r\n`.repeat(12_000)
    const subjects = numbered(16)
    const taken = subjectsOf(quick, subjects.length)
    for (const subject of subjects) await ingest(subject, body)
    expect(await taken).toEqual(subjects)
    await eventually(countStreams, (count) => count === 1)
    socketless.destroy()
    await restartGateway()
  })
})

describe('changes are told', () => {
  const goesOn = async (stream: TestStream, subject: string) => {
    await ingest(subject)
    // Sooner than anybody looks without having been told.
    const { data } = await stream.next(12_000)
    expect(data.messageReceived.subject).toBe(subject)
  }

  test('without Redis, by Redis, and on when Redis is killed under a stream', async () => {
    const redis = await startRedis({ port: await findFreePort() })
    const stream = await subscribe(MAIL)
    await goesOn(stream, 'without')
    await platform.stopTier('oltp')
    platform.settings.oltp.REDIS_URL = redis.url
    await platform.startTier('oltp')
    await goesOn(stream, 'by Redis')
    process.kill(redis.pid, 'SIGKILL')
    await redis.ended
    await goesOn(stream, 'without it again')
    await goesOn(stream, 'and on')
    delete platform.settings.oltp.REDIS_URL
    await platform.stopTier('oltp')
    await platform.startTier('oltp')
    await goesOn(stream, 'after a restart of the tier')
  })

  test('as soon as the tier is back whose they are', async () => {
    const stream = await subscribe(MAIL)
    await stream.until((event) => event.id !== undefined)
    await platform.stopTier('content')
    await platform.startTier('content')
    await goesOn(stream, 'with its text')
    await platform.stopTier('oltp')
    const refused = await subscribe(MAIL)
    expect([refused.response.status, refused.refusal?.errors?.[0]?.extensions.code]).toEqual([503, 'UNAVAILABLE'])
    await platform.startTier('oltp')
    await goesOn(stream, 'and afterwards')
  })
})

describe('what a tier tells the gateway', () => {
  const ask = async (path: string, headers: Record<string, string>) => {
    const response = await fetch(platform.tierUrl('oltp').replace('/graphql', path), { headers })
    await response.body?.cancel()
    return response.status
  }

  test('is for signed callers: hints for the gateway itself, events for whom they are', async () => {
    expect(await ask('/live/hints', {})).toBe(401)
    expect(await ask('/live/hints', platform.callerHeader('oltp'))).toBe(403)
    const worker = { from: 'worker', kind: 'service', tenantId: null, userId: null, roles: [] } as const
    expect(await ask('/live/hints', platform.callerHeader('oltp', worker))).toBe(403)
    expect(await ask('/live/events/messages', {})).toBe(401)
    expect(await ask('/live/events/messages', platform.callerHeader('oltp', worker))).toBe(403)
    expect(await ask('/live/events/toString', platform.callerHeader('oltp'))).toBe(404)
    expect(await ask('/live/events/messages', platform.callerHeader('oltp', { requestId: randomUUID() }))).toBe(200)
  })
})
