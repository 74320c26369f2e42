import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { audit, notify } from '#platform/outbox/announce.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { demo, until } from './queueDatabase.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')
const userId = String(DEMO.userId)

let platform: TestPlatform
let oltp: pg.Pool
let queue: pg.Pool
beforeAll(async () => {
  platform = await startPlatform({ worker: true })
  const open = (tier: 'oltp' | 'queue') => new pg.Pool({ connectionString: platform.databases[tier].systemUrl })
  oltp = open('oltp')
  queue = open('queue')
}, START_TIMEOUT_MS)
afterAll(async () => {
  await Promise.all([oltp?.end(), queue?.end()])
  await platform?.stop()
})

const sentEvent = (payload: object = {}) => ({
  tenantId: demo,
  aggregateType: 'InboxMessageRef',
  aggregateId: randomUUID(),
  eventType: 'email.sent',
  payload: {
    eventType: 'sent',
    occurredAt: '2026-03-02T10:00:00.000Z',
    localDay: '2026-03-02',
    messageId: randomUUID(),
    campaignId: randomUUID(),
    ...payload,
  },
})
const countEvents = async (as = DEMO) => {
  const { data } = await platform.ask('{ emailEvents { totalCount } }', {}, as)
  return data.emailEvents.totalCount as number
}
const jobsOf = async (jobType: string) => {
  const { rows } = await queue.query<{ status: string; attempt_count: number; last_error_message: string | null }>(
    'SELECT status, attempt_count, last_error_message FROM jobs WHERE job_type = $1 ORDER BY seq',
    [jobType],
  )
  return rows
}

describe('the platform’s own tasks', () => {
  test('an audit entry reaches the audit log, and only its tenant’s', async () => {
    await audit(oltp, {
      tenantId: demo,
      adminUserId: userId,
      action: 'test.done',
      resourceType: 'Campaign',
      resourceId: 'c',
    })
    const LOG = '{ auditLog { nodes { action resourceType actorId } } }'
    const nodes = await until(async () => {
      const { data } = await platform.ask(LOG)
      return data.auditLog.nodes.length > 0 && data.auditLog.nodes
    })
    expect(nodes).toEqual([{ action: 'test.done', resourceType: 'Campaign', actorId: userId }])
    expect((await platform.ask(LOG, {}, RIVAL)).data.auditLog.nodes).toEqual([])
  })

  test('a notification reaches its user, and nobody else', async () => {
    await notify(oltp, { tenantId: demo, userId, type: 'test', title: 'Hello', message: 'there', priority: 'high' })
    const MINE = '{ notifications { nodes { title message priority } } }'
    const nodes = await until(async () => {
      const { data } = await platform.ask(MINE)
      return data.notifications.nodes.length > 0 && data.notifications.nodes
    })
    expect(nodes).toEqual([{ title: 'Hello', message: 'there', priority: 'HIGH' }])
    expect((await platform.ask(MINE, {}, RIVAL)).data.notifications.nodes).toEqual([])
  })

  test('events are counted in batches, each once, and the watermark follows', async () => {
    await appendOutbox(
      oltp,
      Array.from({ length: 700 }, () => sentEvent()),
    )
    await platform.settle()
    expect(await countEvents()).toBe(700)
    expect(await countEvents(RIVAL)).toBe(0)
    expect((await jobsOf('rollUpEvents')).every(({ status }) => status === 'completed')).toBe(true)
  })

  test('a poison event becomes a dead letter alone, and holds the watermark back until somebody decides', async () => {
    const before = await countEvents()
    await appendOutbox(oltp, [sentEvent(), sentEvent({ localDay: 'someday' }), sentEvent()])
    await until(async () => (await countEvents()) === before + 2)
    const LETTERS = '{ deadLetters(filter: { jobType: "rollUpEvents" }) { nodes { id failureReason finalAttempt } } }'
    const [letter] = await until(async () => {
      const { data } = await platform.ask(LETTERS)
      return data.deadLetters.nodes.length > 0 && data.deadLetters.nodes
    })
    expect(letter).toMatchObject({ failureReason: expect.stringContaining('localDay'), finalAttempt: 1 })
    await expect(platform.settle(2_500)).rejects.toThrow('still not counted')
    await queue.query('UPDATE dead_letter_jobs SET is_resolved = true, resolved_at = now()')
    await platform.settle()
  }, 120_000)

  test('the precomputed views are refreshed when the platform’s schedule is due', async () => {
    const MONTHS = '{ monthlyVolume { sent } }'
    const setSchedule = (changes: string) =>
      queue.query(`UPDATE scheduled_jobs SET ${changes} WHERE name = 'refresh analytics views'`)
    await until(async () => (await setSchedule('is_active = false')).rowCount)
    await until(async () => (await jobsOf('refreshViews')).every(({ status }) => status === 'completed'))
    await appendOutbox(oltp, [sentEvent({ emailAccountId: randomUUID() })])
    await platform.settle()
    expect((await platform.ask(MONTHS)).data.monthlyVolume).toEqual([])
    const before = await jobsOf('refreshViews')
    await setSchedule('is_active = true, next_run_at = now()')
    await until(async () => (await platform.ask(MONTHS)).data.monthlyVolume.length > 0)
    expect((await platform.ask(MONTHS, {}, RIVAL)).data.monthlyVolume).toEqual([])
    expect((await jobsOf('refreshViews')).length).toBeGreaterThan(before.length)
    expect(
      (await platform.ask('{ jobs(filter: { jobType: "refreshViews" }) { totalCount } }')).data.jobs.totalCount,
    ).toBe(0)
  }, 120_000)

  test('while the analytics tier is away its jobs wait and lose no attempt', async () => {
    const before = await countEvents()
    await platform.stopTier('analytics')
    await appendOutbox(oltp, [sentEvent()])
    await until(async () => (await jobsOf('rollUpEvents')).at(-1)?.last_error_message)
    expect((await jobsOf('rollUpEvents')).at(-1)?.last_error_message).toBe('the analytics tier does not answer')
    await platform.startTier('analytics')
    await until(async () => (await countEvents()) === before + 1)
    // What a worker has done is acknowledged in batches, a moment after it was done.
    const job = await until(async () => {
      const last = (await jobsOf('rollUpEvents')).at(-1)
      return last?.status === 'completed' && last
    })
    expect(job.attempt_count).toBe(1)
  }, 120_000)
})

describe('the worker process', () => {
  const start = (ipc: boolean): ChildProcess =>
    spawn(process.execPath, ['--import', 'tsx', 'subgraphs/queue/worker.ts'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, ...platform.settings.worker },
      stdio: ['ignore', 'ignore', 'inherit', ...(ipc ? ['ipc' as const] : [])],
    })
  const health = `http://127.0.0.1:`
  const ready = () =>
    until(async () => {
      const answer = await fetch(`${health}${platform.settings.worker.WORKER_PORT}/health/ready`).catch(() => null)
      return answer?.status === 200
    }, 30_000)
  const workerOf = async (pid: number | undefined) => {
    const { rows } = await queue.query<{ stopped_at: Date | null }>('SELECT stopped_at FROM workers WHERE pid = $1', [
      pid,
    ])
    return rows[0]
  }

  test('says how it is, shows its numbers, and leaves in good order on SIGTERM', async () => {
    const child = start(false)
    try {
      await ready()
      const metrics = await (await fetch(`${health}${platform.settings.worker.WORKER_PORT}/metrics`)).text()
      expect(metrics).toContain('jobs_held')
      await until(async () => workerOf(child.pid))
      child.kill('SIGTERM')
      expect(await once(child, 'exit')).toEqual([0, null])
      expect((await workerOf(child.pid))?.stopped_at).toBeInstanceOf(Date)
    } finally {
      child.kill('SIGKILL')
    }
  }, 60_000)

  test('does not outlive the process that started it', async () => {
    const child = start(true)
    try {
      await ready()
      child.disconnect()
      expect(await once(child, 'exit')).toEqual([0, null])
    } finally {
      child.kill('SIGKILL')
    }
  }, 60_000)

  test('refuses to start without its settings, naming each', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'subgraphs/queue/worker.ts'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    expect(await once(child, 'close')).toEqual([1, null])
    expect(said).toContain('QUEUE_SYSTEM_DATABASE_URL: is not set')
    expect(said).toContain('CALLER_KEY_WORKER_ANALYTICS: is not set')
  }, 60_000)
})
