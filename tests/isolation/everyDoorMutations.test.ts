import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { TokenSubject } from '#platform/caller/developmentToken.ts'
import { readApiSchema } from '../support/apiSchema.ts'
import { absentOf, codesOf, findMarkers, readAnswer, rootCodesOf, type Told, withoutNew } from './doors/answers.ts'
import { findKind, isOfPlatform, type Kind } from './doors/kinds.ts'
import { restoreWorkspace } from './doors/restore.ts'
import { type Door, type RootField, rootDoors, rootFields } from './doors/rootDoors.ts'
import { fingerprint } from './doors/tenantRows.ts'
import { buildWorld, type SeededTenant, WORLD_TIMEOUT_MS, type World } from './doors/world.ts'

// Through the gateway, as a client asks. What is asked is made from the schema: a mutation added later is tried too.

const schema = readApiSchema()
const mutations = rootFields(schema, 'Mutation')
const doors = rootDoors(schema, 'Mutation')

const STAFF: TokenSubject = { kind: 'staff', tenantId: null, userId: null, roles: ['operator'] }

let world: World
let demo: SeededTenant
let rival: SeededTenant

beforeAll(async () => {
  world = await buildWorld()
  ;({ demo, rival } = world)
}, WORLD_TIMEOUT_MS)
// Each test finds the failed jobs that others may have run again, and the schedules that others may have removed.
beforeEach(async () => {
  for (const tenant of [demo, rival]) {
    await reopenDeadLetters(tenant)
    await restoreSchedule(tenant)
    await restoreWorkspace(world.owners, tenant.plan, 'paused')
  }
})
afterAll(() => world?.stop())

const rowsOf = ({ plan }: SeededTenant) => fingerprint(world.owners, plan.tenantId)

/** What begins with a campaign that has not begun; everything else can be done to a paused one, or is a conflict. */
const STARTS = new Set(['launchCampaign', 'scheduleCampaign'])

/** What takes either of several ids, so that none of them is required. */
const NAMES_ONE: Record<string, { [field: string]: Kind }> = { reply: { conversationId: 'Conversation' } }

type Asker = Pick<SeededTenant, 'idOf'> & { as: TokenSubject }

/** Asks with this id in one place, and whoever asks gives ids of its own in the others. */
async function askDoor(door: Door, id: string, { as, idOf }: Asker): Promise<Told> {
  const variables = door.variables(id, ownIds(idOf))
  return readAnswer(await world.platform.ask(door.document, variables, as), id)
}

async function askMutation(field: RootField, { as, idOf }: Asker): Promise<Told> {
  const { input, ...rest } = field.requiredArguments(ownIds(idOf))
  const named = Object.entries(NAMES_ONE[field.name] ?? {}).map(([name, kind]) => [name, idOf(kind)])
  const variables = input ? { ...rest, input: { ...input, ...Object.fromEntries(named) } } : rest
  return readAnswer(await world.platform.ask(field.document(Object.keys(variables)), variables, as))
}

function ownIds(idOf: SeededTenant['idOf']) {
  return (coordinate: string) => {
    const kind = findKind(coordinate, '')
    return kind && idOf(kind)
  }
}

test('it is known of every id argument of a mutation what it takes', () => {
  expect(doors.filter(({ kind }) => kind === null).map(({ coordinate }) => coordinate)).toEqual([])
  expect(doors.length).toBeGreaterThan(3)
})

describe("the rival's id changes as little as one that does not exist", () => {
  test.each(doors.map((door) => [door.name, door] as const))('%s', async (_name, door) => {
    const kind = door.kind as Kind
    const [real, absent] = [rival.idOf(kind), absentOf(kind)]
    const before = await rowsOf(rival)
    for (const [theirs, nobodys] of [
      [real, absent],
      [real.toUpperCase(), absent.toUpperCase()],
    ] as const) {
      const told = await askDoor(door, theirs, demo)
      expect(withoutNew(told, door.field.name)).toEqual(withoutNew(await askDoor(door, nobodys, demo), door.field.name))
      expect(findMarkers(told, rival.markers)).toEqual([])
    }
    expect(await rowsOf(rival)).toEqual(before)
  })
})

describe('a mutation that names nothing of anybody else', () => {
  test.each(mutations.map((field) => [field.name, field] as const))(
    '%s changes and shows nothing of the rival',
    async (_name, field) => {
      const before = await rowsOf(rival)
      const told = await askMutation(field, demo)
      // Else it was refused for how it was asked, and shows nothing.
      const refused = codesOf(told).filter((code) => code !== 'CONFLICT')
      expect(refused).toEqual(field.isForStaff ? ['FORBIDDEN'] : [])
      expect(findMarkers(told, rival.markers)).toEqual([])
      expect(await rowsOf(rival)).toEqual(before)
    },
  )
})

describe('whoever may', () => {
  test.each(doors.map((door) => [door.name, door] as const))(
    '%s: is told its own id from none',
    async (_name, door) => {
      const kind = door.kind as Kind
      const witness = door.isForStaff ? { ...rival, as: STAFF } : rival
      if (STARTS.has(door.field.name)) await restoreWorkspace(world.owners, rival.plan, 'draft')
      const absent = await askDoor(door, absentOf(kind), witness)
      await reopenDeadLetters(rival)
      await restorePriorities(rival)
      const rows = () => (isOfPlatform(kind) ? platformAlerts() : rowsOf(rival))
      const before = await rows()
      const told = await askDoor(door, rival.idOf(kind), witness)
      expect(told).not.toEqual(absent)
      if (rootCodesOf(told).length > 0) expect(rootCodesOf(told)).toEqual(['CONFLICT'])
      else expect(await rows()).not.toEqual(before)
    },
  )
})

/** What staff can change that is no tenant's. */
async function platformAlerts() {
  const { queue } = world.owners
  const { rows } = await queue.query(
    `SELECT to_jsonb(a) AS alert, to_jsonb(h) AS firing FROM queue_alerts a
     LEFT JOIN queue_alert_history h ON h.alert_id = a.id ORDER BY a.id, h.id`,
  )
  return rows
}

async function reopenDeadLetters({ plan }: SeededTenant): Promise<void> {
  const { queue } = world.owners
  await queue.query(
    'UPDATE dead_letter_jobs SET is_resolved = false, resolved_at = NULL, resolved_by = NULL WHERE tenant_id = $1',
    [plan.tenantId],
  )
  await queue.query(
    `UPDATE jobs SET status = 'failed', failed_at = now() WHERE tenant_id = $1
     AND id IN (SELECT job_id FROM dead_letter_jobs WHERE tenant_id = $1)`,
    [plan.tenantId],
  )
}

/** One whose priority is what it is to become is not moved. */
async function restorePriorities({ plan }: SeededTenant): Promise<void> {
  await world.owners.queue.query("UPDATE jobs SET priority = 100 WHERE tenant_id = $1 AND status = 'queued'", [
    plan.tenantId,
  ])
}

async function restoreSchedule({ plan, idOf }: SeededTenant): Promise<void> {
  await world.owners.queue.query(
    `INSERT INTO scheduled_jobs (tenant_id, id, name, queue_name, job_type, cron_expression, is_active)
     VALUES ($1, $2, $3, 'infrastructure-monitoring', 'checkReputation', '0 3 * * *', false) ON CONFLICT DO NOTHING`,
    [plan.tenantId, idOf('ScheduledJob'), `${plan.slug} nightly`],
  )
}
