import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { GraphQLObjectType, GraphQLUnionType } from 'graphql'
import type { TokenSubject } from '#platform/caller/developmentToken.ts'
import { readApiSchema } from '../support/apiSchema.ts'
import type { TestPlatform } from '../support/graph.ts'
import { absentOf, codesOf, findMarkers, readAnswer, type Told, withoutMoments } from './doors/answers.ts'
import { findEntityKind, findKind, type Kind, STAFF_ENTITIES } from './doors/kinds.ts'
import { type Door, nestedIdArguments, type RootField, rootDoors, rootFields } from './doors/rootDoors.ts'
import { selectAll } from './doors/selection.ts'
import { fingerprint } from './doors/tenantRows.ts'
import { buildWorld, type SeededTenant, WORLD_TIMEOUT_MS, type World } from './doors/world.ts'

// Through the gateway, as a client asks. What is asked is made from the schema: a field added later is asked too.

const STAFF: TokenSubject = { kind: 'staff', tenantId: null, userId: null, roles: ['operator'] }
const NO_ID = () => 'x'

/** What tells only numbers, or what is the platform's: nothing in it is one tenant's alone. */
const NAMELESS = new Set(['plans', 'queues', 'analyticsWatermarks', 'monthlyVolume', 'storageStats', 'sendDecision'])

const schema = readApiSchema()
const doors = rootDoors(schema, 'Query')
const lists = rootFields(schema, 'Query').filter(({ needsId }) => !needsId)

let world: World
let demo: SeededTenant
let rival: SeededTenant
const withoutRival = new Map<string, unknown>()

beforeAll(async () => {
  world = await buildWorld(async (platform) => {
    for (const field of lists) withoutRival.set(field.name, withoutMoments(await askList(platform, field)))
  })
  ;({ demo, rival } = world)
}, WORLD_TIMEOUT_MS)
afterAll(() => world?.stop())

async function askList(platform: TestPlatform, field: RootField, more: object = {}, as?: TokenSubject): Promise<Told> {
  const variables = { ...field.requiredArguments(NO_ID), ...more }
  return readAnswer(await platform.ask(field.document(Object.keys(variables)), variables, as))
}

/** Asks with this id in one place, and ids of the asker's own in the others. */
async function askDoor(door: Door, id: string, as: TokenSubject): Promise<Told> {
  const { idOf } = as === demo.as ? demo : rival
  const ownId = (coordinate: string) => {
    const kind = findKind(coordinate, '')
    return kind ? idOf(kind) : NO_ID()
  }
  return readAnswer(await world.platform.ask(door.document, door.variables(id, ownId), as), id)
}

describe('every door is known', () => {
  test('both tenants have rows in every table of every tier that holds rows of tenants', async () => {
    for (const { plan } of [demo, rival]) {
      const rows = Object.entries(await fingerprint(world.owners, plan.tenantId))
      expect(rows.length).toBeGreaterThan(40)
      expect(rows.filter(([, sum]) => sum.startsWith('0 ')).map(([table]) => table)).toEqual([])
    }
  })

  test('each tenant has texts to be known by', () => {
    const { markers, plan } = rival
    const some = [plan.campaignId, 'riva@rival.example', 'rival spring', 'rival answer in private', 'rival fingerprint']
    expect(markers).toEqual(expect.arrayContaining(some))
    expect(markers).not.toContain(demo.plan.campaignId)
  })

  test('it is known of every id argument what it takes', () => {
    expect(doors.filter(({ kind }) => kind === null).map(({ coordinate }) => coordinate)).toEqual([])
    expect(doors.length).toBeGreaterThan(40)
  })

  test('no field below the roots takes an id: those would need tests of their own', () => {
    expect(nestedIdArguments(schema)).toEqual([])
  })
})

describe("the rival's id reads like one that does not exist", () => {
  test.each(doors.map((door) => [door.name, door] as const))('%s', async (_name, door) => {
    const kind = door.kind as Kind
    const real = rival.idOf(kind)
    const absent = absentOf(kind)
    const told = await askDoor(door, real, demo.as)
    expect(told).toEqual(await askDoor(door, absent, demo.as))
    expect(findMarkers(told, rival.markers)).toEqual([])
    expect(await askDoor(door, real.toUpperCase(), demo.as)).toEqual(await askDoor(door, absent.toUpperCase(), demo.as))

    // Whoever may see it is told something else: the question is one that could tell.
    const witness = door.isForStaff ? STAFF : rival.as
    const seen = await askDoor(door, real, witness)
    if (!door.isForStaff) expect(seen.errors).toBeUndefined()
    expect(seen.data).not.toBeNull()
    expect(seen).not.toEqual(await askDoor(door, absent, witness))
  })

  test('a storage key that both have shows each its own messages', async () => {
    const ask = async ({ as }: SeededTenant) => {
      const query =
        '{ messages(filter: { search: "For all of you" }) { nodes { id content { storageKey messages { id } } } } }'
      const { data } = await world.platform.ask(query, {}, as)
      return data.messages.nodes
    }
    const [ours, theirs] = [await ask(demo), await ask(rival)]
    expect(ours[0].content).toEqual({ storageKey: theirs[0].content.storageKey, messages: [{ id: ours[0].id }] })
    expect(theirs[0].content.messages).toEqual([{ id: theirs[0].id }])
  })
})

describe('a list', () => {
  test.each(lists.map((field) => [field.name, field] as const))(
    '%s shows nothing of the rival',
    async (name, field) => {
      const ours = await askList(world.platform, field)
      expect(findMarkers(ours, rival.markers)).toEqual([])
      // Not even in its numbers: it is what it was before the rival came.
      expect(withoutMoments(ours)).toEqual(withoutRival.get(name))
      if (field.isForStaff) {
        expect(codesOf(ours)).toEqual(['FORBIDDEN'])
        return
      }
      expect(ours.errors).toBeUndefined()
      // It shows something of whoever asks, so it could show the wrong one's.
      if (NAMELESS.has(name)) return
      expect(findMarkers(ours, demo.markers)).not.toEqual([])
      expect(findMarkers(await askList(world.platform, field, {}, rival.as), rival.markers)).not.toEqual([])
    },
  )

  const pages = lists.filter((field) => field.document(['after']).includes('$after'))

  test.each(pages.map((field) => [field.name, field] as const))(
    "%s from a place in the rival's list on shows nothing of the rival",
    async (name, field) => {
      const witness = field.isForStaff ? STAFF : rival.as
      const { data } = (await askList(world.platform, field, {}, witness)) as { data: Record<string, Page | null> }
      const { edges } = data[name] ?? { edges: [] }
      expect(edges).not.toEqual([])
      const from = await askList(world.platform, field, { after: edges[0]?.cursor })
      expect(findMarkers(from, rival.markers)).toEqual([])
    },
  )
})

describe("a reference of demo's own to something of the rival", () => {
  const job = schema.getType('Job') as GraphQLObjectType
  const subject = job.getFields().subject?.type as GraphQLUnionType
  const query = `query ($id: ID!) { job(id: $id) { id subject ${selectAll(subject, 2)} } }`

  test.each(subject.getTypes().map(({ name }) => name))(
    'a job for a %s shows no more than one for nothing',
    async (name) => {
      const kind = findEntityKind(name) as Kind
      const jobFor = (id: string) => enqueueFor(demo, name, id)
      const told = async (subjectId: string, as: TokenSubject, jobId: string) => {
        const { data, errors } = await world.platform.ask(query, { id: jobId }, as)
        expect(data.job.id).toBe(jobId)
        return readAnswer({ data: data.job.subject, errors }, subjectId)
      }
      const [real, absent] = [rival.idOf(kind), absentOf(kind)]
      const ours = await told(real, demo.as, await jobFor(real))
      expect(ours).toEqual(await told(absent, demo.as, await jobFor(absent)))
      expect(findMarkers(ours, rival.markers)).toEqual([])
      const witness = STAFF_ENTITIES.has(name) ? STAFF : rival.as
      const theirs = await told(real, witness, await enqueueFor(rival, name, real))
      expect(theirs.errors).toBeUndefined()
      expect(theirs).not.toEqual(ours)
    },
  )
})

type Page = { edges: { cursor: string }[] }

const ENQUEUE = 'mutation ($jobs: [EnqueueJobInput!]!) { enqueueJobs(jobs: $jobs) { jobId error } }'

/** A job of a tenant that works for anything it names; it never runs. */
async function enqueueFor({ plan }: SeededTenant, subjectTypename: string, subjectId: string): Promise<string> {
  const job = {
    ...{ tenantId: plan.tenantId, source: 'test', key: randomUUID(), queueName: 'billing-sync', jobType: 'nothing' },
    ...{ payload: {}, runAt: '2100-01-01T00:00:00Z', subjectTypename, subjectId },
  }
  type Enqueued = { enqueueJobs: { jobId: string; error: string | null }[] }
  const { enqueueJobs } = await world.platform.tierClient('queue').request<Enqueued>(ENQUEUE, { jobs: [job] })
  expect(enqueueJobs).toEqual([{ jobId: expect.any(String), error: null }])
  return enqueueJobs[0]?.jobId ?? ''
}
