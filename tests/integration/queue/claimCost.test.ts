import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { completeJobs } from '../../../subgraphs/queue/engine/acknowledge.ts'
import { expireJobs } from '../../../subgraphs/queue/engine/maintenance.ts'
import { eventually } from '../../support/eventually.ts'
import { type ClaimDesk, done, jobsOf, openClaimDesk, QUEUE, tenantsInOrder } from './claimDesk.ts'
import { explainInside } from './explainInside.ts'
import { makeWorker } from './queueDatabase.ts'

let desk: ClaimDesk
const tenants = tenantsInOrder(5)
beforeAll(async () => {
  desk = await openClaimDesk()
})
afterEach(() => desk.clear())
afterAll(() => desk.close())

const HISTORY = `
  INSERT INTO jobs (tenant_id, id, queue_name, job_type, payload, status, attempt_count, completed_at)
  SELECT ($1::uuid[])[1 + n % 5], gen_random_uuid(), '${QUEUE}', 'echo', '{"text": "hello"}', 'completed', 1, now()
  FROM generate_series(1, 200000) AS n`

type Quartiles = { claim: number; acknowledge: number }

/** A quarter of 25 claims of 20 jobs each, and of their acknowledgements, were faster; in milliseconds. */
async function quartiles(): Promise<Quartiles> {
  for (const tenantId of tenants) await desk.fill({ tenantId, jobs: 200 })
  const claims: number[] = []
  const acknowledgements: number[] = []
  for (let n = 0; n < 35; n += 1) {
    const before = performance.now()
    const jobs = jobsOf(await desk.claim(20))
    const between = performance.now()
    await completeJobs(desk.sql, jobs.map(done), () => true)
    if (n < 10) continue
    claims.push(between - before)
    acknowledgements.push(performance.now() - between)
  }
  const quartile = (took: number[]) => took.toSorted((a, b) => a - b)[6] as number
  return { claim: quartile(claims), acknowledge: quartile(acknowledgements) }
}

/** Measured again while the machine has other things to do: what is dear by itself stays dear. */
const expectBelow = (most: Quartiles) =>
  eventually(quartiles, ({ claim, acknowledge }) => claim < most.claim && acknowledge < most.acknowledge)
const times = (factor: number, { claim, acknowledge }: Quartiles) => ({
  claim: claim * factor + 2,
  acknowledge: acknowledge * factor + 2,
})

test('200,000 completed jobs make neither a claim nor an acknowledgement dearer, and are not looked at', async () => {
  const before = await quartiles()
  await desk.owner.query('ALTER TABLE jobs SET (autovacuum_enabled = false)')
  await desk.owner.query(HISTORY, [tenants])
  // By plans that were made before.
  await expectBelow(times(3, before))
  await desk.owner.query('VACUUM ANALYZE jobs')
  await desk.owner.query('ALTER TABLE jobs RESET (autovacuum_enabled)')
  await expectBelow(times(2, before))

  for (const tenantId of tenants) await desk.fill({ tenantId, jobs: 50, key: 'mailbox' })
  await desk.fill({ tenantId: tenants[0] ?? '', jobs: 50, delayMs: 60_000 })
  const worker = await makeWorker(desk.sql)
  const claim = `SELECT * FROM claim_jobs('${QUEUE}', '${worker}', gen_random_uuid(), 20, 1000, '${worker}', false, 0)`
  const plain = await explainInside(desk.queue, claim)
  await desk.limit({ max_concurrent_per_key: 3, max_concurrent_per_tenant: 5 })
  const keyed = await explainInside(desk.queue, claim)
  expect(plain).toMatch(/using jobs_delayed_idx on jobs[\s\S]*?Index Cond: .*run_at <=/)
  expect(plain).toMatch(/jobs_claim_idx on jobs/)
  expect(plain).toContain('Tid Scan on jobs')
  expect(keyed).toMatch(/jobs_key_idx on jobs/)
  for (const plans of [plain, keyed]) expect(plans).not.toMatch(/Seq Scan on jobs|Rows Removed by Filter: \d{4,}/)
}, 120_000)

test('20,000 expired jobs ahead of the others stand in the way of claims no longer than until the next clean-up', async () => {
  const [tenant] = tenants as [string]
  await desk.fill({ tenantId: tenant, jobs: 20_000, priority: 1 })
  await desk.sql.query(`UPDATE jobs SET expires_at = now() - interval '1 second'`)
  expect(await expireJobs(desk.sql)).toBe(20_000)
  await desk.owner.query('VACUUM jobs')
  await expectBelow({ claim: 50, acknowledge: Number.POSITIVE_INFINITY })
})
