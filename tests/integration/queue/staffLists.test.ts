// biome-ignore-all lint/suspicious/noExplicitAny: answers and plans are whatever was asked for
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { demo, rival } from './queueDatabase.ts'
import { OPERATOR, type QueueTier, SUPPORT, startQueueTier, userOf } from './queueTier.ts'

const TENANTS = 60
const JOBS = 120_000
const HOUR_MS = 3_600_000

let tier: QueueTier
const owner = userOf(demo, 'owner')
/** The jobs' ids, newest first, as the database has them. */
let newest: { id: string; tenant_id: string }[]

// Ids of times to come: what the audit log is told of staff's reads is a job too, and older than these.
const FILL = `
  INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, status, completed_at, priority)
  SELECT t.id, uuidv7(make_interval(secs => place + $4)), 'content-archival', 'archive',
    jsonb_build_object('place', place), 'completed', now(), 1 + place % 200
  FROM generate_series(1, $1::int) AS place
  JOIN (SELECT row_number() OVER () - 1 AS turn, id FROM unnest($2::uuid[]) AS id) t ON t.turn = (place * 7) % $3::int`

beforeAll(async () => {
  tier = await startQueueTier()
  const tenants = [demo, rival, ...Array.from({ length: TENANTS - 2 }, () => randomUUID())]
  const client = await tier.sql.connect()
  // Longer than a statement of the tier's own may.
  await client.query('SET statement_timeout = 0')
  await client.query(FILL, [JOBS, tenants, TENANTS, 0])
  client.release(true)
  newest = (await tier.sql.query('SELECT id, tenant_id FROM jobs ORDER BY id DESC LIMIT 200')).rows
}, 120_000)
afterAll(() => tier?.stop())

const LIST = `query ($first: Int, $after: String, $filter: JobFilter) { jobs(first: $first, after: $after, filter: $filter) {
  nodes { id } pageInfo { hasNextPage endCursor } } }`
const list = async (variables: object, caller = SUPPORT) => {
  const { data, errors } = await tier.ask(LIST, variables, caller)
  if (errors) throw new Error(errors[0]?.message)
  return data.jobs as { nodes: { id: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } }
}

/** Plans of the statements about jobs that the system role sends meanwhile, each made where the statement is about to run. */
async function plansDuring(work: () => Promise<unknown>): Promise<any[]> {
  const { sql } = tier
  const plans: any[] = []
  const explaining = (query: (...args: any[]) => Promise<any>) => async (statement: any, values?: unknown[]) => {
    const text = typeof statement === 'string' ? statement : statement.text
    if (/\bjobs\b/.test(text) && /^\s*(select|with)/i.test(text)) {
      const { rows } = await query(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values ?? statement.values)
      plans.push(rows[0]['QUERY PLAN'][0].Plan)
    }
    return query(statement, values)
  }
  const [query, connect] = [sql.query.bind(sql), sql.connect.bind(sql)] as ((...args: any[]) => any)[]
  sql.query = explaining(query as never) as typeof sql.query
  sql.connect = (async (...args: any[]) => {
    const client = await connect?.(...args)
    if (args.length > 0) return client
    return { query: explaining(client.query.bind(client)), release: client.release.bind(client) }
  }) as typeof sql.connect
  try {
    await work()
  } finally {
    sql.query = query as typeof sql.query
    sql.connect = connect as typeof sql.connect
  }
  return plans
}

/** Scans in a plan that read the table from end to end, and how many rows of it were read at all. */
function readPlan(plan: any): { scans: string[]; rows: number } {
  const inner = (plan.Plans ?? []).map(readPlan) as { scans: string[]; rows: number }[]
  const isScan = plan['Relation Name'] === 'jobs'
  const own = isScan && /Seq Scan/.test(plan['Node Type']) ? [plan['Node Type']] : []
  const rows = isScan ? (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'] : 0
  return {
    scans: [...own, ...inner.flatMap(({ scans }) => scans)],
    rows: rows + inner.reduce((sum, { rows }) => sum + rows, 0),
  }
}

describe('staff, of 120,000 jobs of 60 tenants in a table that nobody has analysed', () => {
  test('list the newest of all, page by page, and no statement reads the table', async () => {
    const seen: string[] = []
    const plans = await plansDuring(async () => {
      let after: string | undefined
      for (let page = 0; page < 4; page++) {
        const { nodes, pageInfo } = await list({ first: 50, after })
        seen.push(...nodes.map(({ id }) => id))
        after = pageInfo.endCursor
      }
    })
    expect(seen).toEqual(newest.map(({ id }) => id))
    expect(plans.length).toBeGreaterThanOrEqual(4)
    for (const plan of plans) {
      const { scans, rows } = readPlan(plan)
      expect(scans).toEqual([])
      expect(rows).toBeLessThan(TENANTS * 60)
    }
  })

  test('find a job by its id, and no statement reads the table', async () => {
    const { id } = newest[137] as { id: string }
    let answer: unknown
    const plans = await plansDuring(async () => {
      answer = (await tier.ask('query ($id: ID!) { job(id: $id) { id status } }', { id }, SUPPORT)).data.job
    })
    expect(answer).toEqual({ id, status: 'COMPLETED' })
    expect(plans.length).toBeGreaterThan(0)
    for (const plan of plans) {
      const { scans, rows } = readPlan(plan)
      expect(scans).toEqual([])
      expect(rows).toBeLessThan(TENANTS * 3)
    }
    const unknown = await tier.ask('query ($id: ID!) { job(id: $id) { id } }', { id: randomUUID() }, SUPPORT)
    expect(unknown).toEqual({ data: { job: null } })
  })

  test('keep their place while jobs arrive, and one tenant’s list is that tenant’s', async () => {
    const { nodes, pageInfo } = await list({ first: 3 })
    await tier.sql.query(FILL, [2, [demo], 1, JOBS])
    const next = await list({ first: 3, after: pageInfo.endCursor })
    const expected = newest.map(({ id }) => id)
    expect([...nodes, ...next.nodes].map(({ id }) => id)).toEqual(expected.slice(0, 6))
    const ofRival = await list({ first: 100, filter: { tenantId: rival } })
    const { rows } = await tier.sql.query('SELECT id FROM jobs WHERE tenant_id = $1 ORDER BY id DESC LIMIT 100', [
      rival,
    ])
    expect(ofRival.nodes).toEqual(rows)
  })

  test('act on any tenant’s job without reading the table', async () => {
    const target = newest[0] as { id: string }
    const RETRY = 'mutation ($id: ID!) { retryJob(input: { id: $id }) { job { id } } }'
    expect((await tier.ask(RETRY, { id: target.id }, OPERATOR)).errors?.[0]?.extensions.code).toBe('CONFLICT')
    expect((await tier.ask(RETRY, { id: randomUUID() }, OPERATOR)).errors?.[0]?.extensions.code).toBe('NOT_FOUND')
  })
})

describe('filters', () => {
  test('take priority bands and times of change', async () => {
    const bands = await Promise.all(
      ['HIGH', 'NORMAL', 'LOW'].map(async (priorityBand) => {
        const { data } = await tier.ask(
          'query ($filter: JobFilter) { jobs(first: 100, filter: $filter) { totalCount nodes { priority } } }',
          { filter: { priorityBand } },
          owner,
        )
        return data.jobs
      }),
    )
    const spans = bands.map(({ nodes }) => {
      const priorities = nodes.map(({ priority }: { priority: number }) => priority)
      return [Math.min(...priorities), Math.max(...priorities)]
    })
    expect(spans[0]?.[1]).toBeLessThanOrEqual(50)
    expect(spans[1]?.[0]).toBeGreaterThan(50)
    expect(spans[1]?.[1]).toBeLessThanOrEqual(150)
    expect(spans[2]?.[0]).toBeGreaterThan(150)
    const { rows } = await tier.sql.query('SELECT count(*)::int FROM jobs WHERE tenant_id = $1', [demo])
    expect(bands.reduce((sum, { totalCount }) => sum + totalCount, 0)).toBe(rows[0].count)
    const hourAgo = { from: '2020-01-01T00:00:00Z', to: new Date(Date.now() - HOUR_MS).toISOString() }
    expect((await list({ filter: { updated: hourAgo } }, owner)).nodes).toEqual([])
    const lately = { from: hourAgo.to, to: '2100-01-01T00:00:00Z' }
    expect((await list({ first: 5, filter: { updated: lately } }, owner)).nodes).toHaveLength(5)
  })

  test('find a payload, of the caller’s own tenant, however deep, without a look at all the others', async () => {
    const { rows } = await tier.sql.query(
      'SELECT id, payload FROM jobs WHERE tenant_id = $1 ORDER BY id DESC OFFSET 900 LIMIT 1',
      [demo],
    )
    const filter = { payload: rows[0].payload, queueName: 'content-archival' }
    expect((await list({ filter }, owner)).nodes).toEqual([{ id: rows[0].id }])
    expect((await list({ filter }, userOf(rival, 'owner'))).nodes).toEqual([])
    expect((await list({ filter: { ...filter, tenantId: demo } })).nodes).toEqual([{ id: rows[0].id }])
    const { data } = await tier.ask(
      'query ($filter: JobFilter) { jobs(filter: $filter) { totalCount } }',
      { filter },
      owner,
    )
    expect(data.jobs.totalCount).toBe(1)
  })

  test('look through ten thousand jobs for a payload and then go on from there', async () => {
    const tenantId = randomUUID()
    await tier.sql.query(FILL, [10_500, [tenantId], 1, 0])
    const filter = { payload: { place: 1 }, tenantId }
    const first = await list({ filter })
    expect(first).toMatchObject({ nodes: [], pageInfo: { hasNextPage: true, endCursor: expect.any(String) } })
    const second = await list({ filter, after: first.pageInfo.endCursor })
    expect(second).toMatchObject({ nodes: [{ id: expect.any(String) }], pageInfo: { hasNextPage: false } })
  })

  test('by payload are for those who may read payloads, and for one tenant at a time', async () => {
    const code = async (filter: object, caller: typeof owner) =>
      (await tier.ask(LIST, { filter }, caller)).errors?.[0]?.extensions.code
    expect(await code({ payload: { place: 1 } }, userOf(demo, 'manager'))).toBe('FORBIDDEN')
    expect(await code({ payload: { place: 1 } }, SUPPORT)).toBe('INVALID_INPUT')
    for (const payload of [[], 'text', { a: 'x'.repeat(20_000) }, { a: 'b\0' }]) {
      expect(await code({ payload }, owner)).toBe('INVALID_INPUT')
    }
  })
})
