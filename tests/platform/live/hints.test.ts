import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { type Hint, Hints } from '#platform/live/hints.ts'
import { type RunningRedis, startRedis } from '#platform/local/redis.ts'
import { makeLog } from '#platform/log.ts'
import { eventually } from '../../support/eventually.ts'
import { findFreePort } from '../../support/freePort.ts'
import { createTierDatabase, type TierDatabase } from '../../support/postgres.ts'

let database: TierDatabase
let pool: pg.Pool
let port: number
const open: Hints[] = []
const redises: RunningRedis[] = []

beforeAll(async () => {
  database = await createTierDatabase('content')
  pool = new pg.Pool({ connectionString: database.systemUrl, max: 4 })
  pool.on('error', () => {})
  port = await findFreePort()
}, 60_000)
afterEach(async () => {
  for (const hints of open.splice(0)) hints.close()
  for (const redis of redises.splice(0)) await redis.stop()
})
afterAll(async () => {
  await pool?.end()
  await database?.drop()
})

const TENANT = '01930000-0000-7000-8000-00000000d3a0'
const log = makeLog('test', 'silent')

function makeHints(redisUrl?: string): Hints {
  const hints = new Hints({ tier: 'content', pool, redisUrl, log })
  open.push(hints)
  return hints
}

/** Listens, and waits until it does. */
async function hear(hints: Hints): Promise<Hint[]> {
  const heard: Hint[] = []
  hints.listen((hint) => heard.push(hint))
  await eventually(
    async () => heard.length,
    (count) => count > 0,
  )
  return heard
}

async function startOwnRedis(): Promise<RunningRedis> {
  const redis = await startRedis({ port })
  redises.push(redis)
  return redis
}

const namesTenant = (hint: Hint) => hint?.includes(TENANT) === true
const countOf = (heard: Hint[]) => heard.filter(namesTenant).length

/** Tells until it is heard: whoever listens may not listen yet. */
const isHeard = (teller: Hints, heard: Hint[]) => {
  const before = countOf(heard)
  return eventually(
    async () => {
      teller.tell(TENANT)
      await sleep(150)
      return countOf(heard)
    },
    (count) => count > before,
  )
}

test('without Redis a change is told by PostgreSQL, to other processes too', async () => {
  const heard = await hear(makeHints())
  makeHints().tell(TENANT.toUpperCase())
  await eventually(
    async () => countOf(heard),
    (count) => count === 1,
  )
})

test('many changes at once are few messages, which name each tenant once', async () => {
  const heard = await hear(makeHints())
  const teller = makeHints()
  const before = heard.length
  const tenants = Array.from({ length: 400 }, (_, n) => `01930000-0000-7000-8000-${String(n).padStart(12, '0')}`)
  for (let round = 0; round < 25; round += 1) for (const tenant of tenants) teller.tell(tenant)
  await eventually(
    async () => heard.slice(before).flatMap((hint) => hint ?? []).length,
    (count) => count === 400,
  )
  expect(heard.length - before).toBe(3)
})

test('what may be of anybody is told as such', async () => {
  const heard = await hear(makeHints())
  const before = heard.length
  const teller = makeHints()
  teller.tell(TENANT)
  teller.tell(null)
  await eventually(
    async () => heard.slice(before),
    (hints) => hints.includes(null),
  )
  expect(countOf(heard)).toBe(0)
})

test('with Redis changes go by Redis alone; when it is gone by PostgreSQL, and by Redis again once it is back', async () => {
  const redis = await startOwnRedis()
  const notified: string[] = []
  const spy = new pg.Client({ connectionString: database.systemUrl })
  await spy.connect()
  await spy.query('LISTEN live')
  spy.on('notification', ({ payload }) => notified.push(payload ?? ''))
  const [teller, hearer] = [makeHints(redis.url), makeHints(redis.url)]
  const heard = await hear(hearer)
  // Not at once: each of them finds Redis when it does.
  const isHeardByRedisAlone = () =>
    eventually(
      async () => {
        notified.length = 0
        await isHeard(teller, heard)
        return notified.length
      },
      (count) => count === 0,
    )
  await isHeardByRedisAlone()

  await redis.stop()
  redises.length = 0
  await isHeard(teller, heard)
  await eventually(
    async () => notified,
    (payloads) => payloads.includes(TENANT),
  )

  await startOwnRedis()
  await isHeardByRedisAlone()
  await spy.end()
}, 60_000)

test('who listens is told that it may be anybody whenever some may have been lost', async () => {
  const redis = await startOwnRedis()
  const heard = await hear(makeHints(redis.url))
  await eventually(
    async () => heard.filter((hint) => hint === null).length,
    (count) => count === 2,
  )
  await redis.stop()
  redises.length = 0
  await eventually(
    async () => heard.filter((hint) => hint === null).length,
    (count) => count >= 3,
  )
})

test('a Redis and a database that are away cost whoever tells nothing', async () => {
  const lost = new pg.Pool({ connectionString: 'postgresql://nobody@127.0.0.1:9/none', connectionTimeoutMillis: 100 })
  const hints = new Hints({ tier: 'content', pool: lost, redisUrl: 'redis://127.0.0.1:9/0', log })
  expect(() => hints.tell(TENANT)).not.toThrow()
  await sleep(300)
  hints.close()
  await lost.end()
})
