import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Caller } from '#platform/caller/caller.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import { eventually } from '../support/eventually.ts'
import { absentOf, codesOf, findMarkers, readAnswer, type Told } from './doors/answers.ts'
import { findEntityKind, findKind, type Kind, STAFF_ENTITIES } from './doors/kinds.ts'
import { fingerprint } from './doors/tenantRows.ts'
import { type EntityDoor, entityDoors, type TierField, tierFields } from './doors/tierDoors.ts'
import { buildWorld, type SeededTenant, WORLD_TIMEOUT_MS, type World } from './doors/world.ts'

// Each tier asked directly, as the gateway and the services ask it: no tier relies on another's care.

const NOBODY = { tenantId: null, userId: null, roles: [] }
const STAFF: Partial<Caller> = { ...NOBODY, kind: 'staff', from: 'gateway', roles: ['operator'] }
/** One of our own processes that speaks for no tenant. */
const SERVICE: Partial<Caller> = { ...NOBODY, kind: 'service', from: 'cli' }

/** What staff may read of tenants, or of all of them together, by design. */
const STAFF_READS = new Set([
  ...['job', 'jobs', 'queues', 'deadLetters', 'deadLetterGroups', 'scheduledJobs', 'retryJob', 'cancelJob'],
  ...[
    'retryJobs',
    'reprioritizeJob',
    'reprioritizeJobs',
    'resolveDeadLetter',
    'resolveDeadLetters',
    'replayDeadLetters',
    'auditLog',
    'analyticsWatermarks',
    'viewer',
  ],
  // Not the tenants': their own inbox.
  ...['notification', 'notifications', 'markNotificationsRead', 'markAllNotificationsRead'],
])
/** What is no tenant's and told to everybody. */
const EVERYBODYS = new Set(['analyticsWatermarks', 'viewer'])

/** Entities of which staff see every tenant's. */
const STAFF_SEE = new Set([
  'oltp: VpsInstance by id',
  'oltp: SmtpIpAddress by id',
  'queue: Job by id',
  'queue: Tenant by id',
])

const entities = entityDoors()
const fields = tierFields()
const hidden = fields.filter(({ isHidden }) => isHidden)
const shown = fields.filter(({ isHidden }) => !isHidden)

let world: World
let demo: SeededTenant
let rival: SeededTenant

beforeAll(async () => {
  world = await buildWorld()
  ;({ demo, rival } = world)
}, WORLD_TIMEOUT_MS)
afterAll(() => world?.stop())

async function ask(
  tier: Tier,
  document: string,
  variables: object,
  caller: Partial<Caller>,
  asked = '',
): Promise<Told> {
  const headers = world.platform.callerHeader(tier, caller)
  return readAnswer(await world.platform.askTier(tier, document, headers, variables), asked)
}

function askEntity(door: EntityDoor, id: string, caller: Partial<Caller>): Promise<Told> {
  return ask(door.tier, door.document, door.variables(id), caller, id)
}

function askField({ tier, field }: TierField, caller: Partial<Caller>, of: SeededTenant): Promise<Told> {
  const variables = field.requiredArguments((coordinate) => {
    const kind = findKind(coordinate, '')
    return kind ? of.idOf(kind) : absentOf('Job')
  })
  return ask(tier, field.document(Object.keys(variables)), variables, caller)
}

/** Looks at mails are written down a moment later, in their order: waits until a last one of the rival's is. */
async function waitForLooks(): Promise<void> {
  const userId = randomUUID()
  const look = 'query ($key: ID!) { contentObject(storageKey: $key) { text } }'
  const told = await ask(
    'content',
    look,
    { key: rival.idOf('ContentObject') },
    { ...rival.as, from: 'gateway', userId },
  )
  expect(told.errors).toBeUndefined()
  await eventually(
    () => world.owners.content.query('SELECT FROM content_access_log WHERE user_id = $1', [userId]),
    ({ rowCount }) => rowCount === 1,
  )
}

describe('an entity', () => {
  test('is known here whatever its type', () => {
    expect(entities.filter(({ typename }) => findEntityKind(typename) === null).map(({ name }) => name)).toEqual([])
    expect(entities.length).toBeGreaterThan(25)
  })

  test.each(entities.map((door) => [door.name, door] as const))('%s: the rival’s is like none', async (_name, door) => {
    const kind = findEntityKind(door.typename) as Kind
    const real = rival.idOf(kind)
    const absent = absentOf(kind)
    const asDemo = { ...demo.as, from: 'gateway' } as const
    const onBehalfOfDemo = { ...SERVICE, tenantId: demo.plan.tenantId }
    for (const caller of [asDemo, onBehalfOfDemo]) {
      const told = await askEntity(door, real, caller)
      expect(told).toEqual(await askEntity(door, absent, caller))
      expect(findMarkers(told, rival.markers)).toEqual([])
    }
    const told = await askEntity(door, real.toUpperCase(), asDemo)
    expect(told).toEqual(await askEntity(door, absent.toUpperCase(), asDemo))

    const isStaffs = STAFF_ENTITIES.has(door.typename) && door.tier === 'oltp'
    const witness = isStaffs ? STAFF : { ...asDemo, ...rival.as }
    const seen = await askEntity(door, real, witness)
    expect(seen.errors).toBeUndefined()
    expect(seen).not.toEqual(await askEntity(door, absent, witness))
  })

  test.each(entities.map((door) => [door.name, door] as const))(
    '%s: a service that speaks for no tenant sees nobody’s',
    async (_name, door) => {
      const kind = findEntityKind(door.typename) as Kind
      const real = rival.idOf(kind)
      const told = await askEntity(door, real, SERVICE)
      expect(told).toEqual(await askEntity(door, absentOf(kind), SERVICE))
      expect(findMarkers(told, rival.markers)).toEqual([])
    },
  )

  test.each(entities.map((door) => [door.name, door] as const))(
    '%s: staff see what is theirs to see',
    async (name, door) => {
      const kind = findEntityKind(door.typename) as Kind
      const real = rival.idOf(kind)
      const shown = findMarkers(await askEntity(door, real, STAFF), rival.markers)
      expect(shown.length > 0).toBe(STAFF_SEE.has(name))
    },
  )
})

describe('a field that clients see', () => {
  test.each(shown.map((door) => [door.name, door] as const))(
    '%s is refused to a service that speaks for no tenant',
    async (_name, door) => {
      const told = await askField(door, SERVICE, demo)
      expect(findMarkers(told, [...demo.markers, ...rival.markers])).toEqual([])
      if (EVERYBODYS.has(door.field.name)) return
      expect(new Set(codesOf(told))).toEqual(new Set(['FORBIDDEN']))
      expect(Object.values(told.data ?? {}).filter((value) => value !== null)).toEqual([])
    },
  )

  test.each(
    shown
      .filter(({ field }) => !field.isForStaff && !STAFF_READS.has(field.name))
      .map((door) => [door.name, door] as const),
  )('%s is refused to staff', async (_name, door) => {
    const told = await askField(door, STAFF, demo)
    expect(codesOf(told)).toEqual(['FORBIDDEN'])
    expect(findMarkers(told, [...demo.markers, ...rival.markers])).toEqual([])
  })
})

describe('a field that clients do not see', () => {
  // What the rival was shown before changes rows of its own too, when it is written down.
  beforeAll(waitForLooks)

  test('exists in every tier', () => {
    expect(new Set(hidden.map(({ tier }) => tier)).size).toBe(4)
    expect(hidden.length).toBeGreaterThan(8)
  })

  test.each(hidden.map((door) => [door.name, door] as const))(
    '%s is refused to users and staff',
    async (_name, door) => {
      const before = await fingerprint(world.owners, rival.plan.tenantId)
      for (const caller of [{ ...demo.as, from: 'gateway' } as const, STAFF]) {
        const told = await askField(door, caller, rival)
        expect(codesOf(told)).toEqual(['FORBIDDEN'])
        expect(findMarkers(told, rival.markers)).toEqual([])
      }
      expect(await fingerprint(world.owners, rival.plan.tenantId)).toEqual(before)
    },
  )
})
