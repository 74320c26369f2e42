import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type DocumentNode, parse, validate } from 'graphql'
import type { TokenSubject } from '#platform/caller/developmentToken.ts'
import { codesOf, findMarkers, readAnswer, rootCodesOf, type Told } from '../isolation/doors/answers.ts'
import { restoreWorkspace } from '../isolation/doors/restore.ts'
import { rootFields } from '../isolation/doors/rootDoors.ts'
import { fingerprint } from '../isolation/doors/tenantRows.ts'
import { buildWorld, type SeededTenant, WORLD_TIMEOUT_MS, type World } from '../isolation/doors/world.ts'
import { readApiSchema } from '../support/apiSchema.ts'
import { fillVariables, rootsOf } from './variables.ts'

// Every document that the frontend asks: as it is written, with ids of things that are there.

const FOLDER = new URL('../../operations/', import.meta.url)

type Operation = { name: string; text: string; document: DocumentNode }

const schema = readApiSchema()
const documents: Operation[] = readdirSync(FOLDER).map((file) => {
  const text = readFileSync(new URL(file, FOLDER), 'utf8')
  return { name: file.replace(/\.graphql$/, ''), text, document: parse(text) }
})
/** Subscriptions are opened in tests/gateway/live. */
const operations = documents.filter(({ text }) => !/^subscription /m.test(text))
const fields = [...rootFields(schema, 'Query'), ...rootFields(schema, 'Mutation')]
const isMutation = ({ text }: Operation) => /^mutation /m.test(text)
const isForStaff = ({ document }: Operation) => {
  const roots = rootsOf(document)
  return fields.some((field) => roots.includes(field.name) && field.isForStaff)
}

/** What neither employees nor viewers may do or see. */
const MANAGERS = new Set([
  ...['createDomain', 'updateDomain', 'verifyDomain', 'deleteDomain', 'updateCompany'],
  ...['createEmailAccount', 'updateEmailAccount', 'deleteEmailAccount', 'pauseEmailAccount', 'reactivateEmailAccount'],
  ...['setDailyLimit', 'startWarmup', 'pauseWarmup', 'exportLeads', 'exportJob', 'leadExports'],
  ...['retryJob', 'retryJobs', 'cancelJob', 'reprioritizeJob', 'reprioritizeJobs'],
  ...['replayDeadLetters', 'resolveDeadLetter', 'resolveDeadLetters', 'auditLog', 'transactionalEmails'],
])

/** What managers may not either. */
const ADMINS = new Set([
  ...['reactivateEmailAccount', 'replayDeadLetters', 'resolveDeadLetter', 'resolveDeadLetters'],
  ...['auditLog', 'transactionalEmails'],
])

/** What anyone may do, since it is about nobody else. */
const OWN = new Set(['markNotificationsRead', 'markAllNotificationsRead'])

/** What a draft is needed for; everything else is asked of a paused campaign. */
const STARTS = new Set(['launchCampaign', 'scheduleCampaign'])

/** What else has to be so before something can be done. */
const PREPARED: Record<string, string> = {
  pauseCampaign: `UPDATE campaigns SET status = 'sending' WHERE tenant_id = $1`,
  pauseWarmup: `UPDATE email_accounts SET warmup_status = 'active' WHERE tenant_id = $1`,
  startWarmup: `UPDATE email_accounts SET warmup_status = 'not_started' WHERE tenant_id = $1`,
  deleteDomain: 'UPDATE email_accounts SET deleted_at = now() WHERE tenant_id = $1',
  reactivateEmailAccount: `UPDATE email_accounts SET status = 'paused' WHERE tenant_id = $1`,
}

const JOB_WAITS = `
  UPDATE jobs SET status = 'queued', failed_at = NULL, run_at = now() + interval '1 day'
  WHERE tenant_id = $1 AND id IN (SELECT job_id FROM dead_letter_jobs WHERE tenant_id = $1)`

/** The same of its job that was given up: of the queue. */
const PREPARED_JOBS: Record<string, string> = {
  cancelJob: JOB_WAITS,
  reprioritizeJob: JOB_WAITS,
  resolveDeadLetter: `UPDATE dead_letter_jobs SET is_resolved = false, resolved_at = NULL WHERE tenant_id = $1`,
}

/** What can't be done with what there is here: a conflict is all that it can say. */
const CONFLICTS = new Set(['finalizeUpload'])

let world: World
let demo: SeededTenant
let rival: SeededTenant

beforeAll(async () => {
  world = await buildWorld()
  ;({ demo, rival } = world)
}, WORLD_TIMEOUT_MS)
afterAll(() => world?.stop())

/** Makes it possible to do something with what demo has. */
async function prepare(name: string): Promise<void> {
  const { owners } = world
  await restoreWorkspace(owners, demo.plan, STARTS.has(name) ? 'draft' : 'paused')
  if (PREPARED[name]) await owners.oltp.query(PREPARED[name], [demo.plan.tenantId])
  if (PREPARED_JOBS[name]) await owners.queue.query(PREPARED_JOBS[name], [demo.plan.tenantId])
}

/** Asks as somebody, with demo's ids. */
async function ask({ text, document }: Operation, as: TokenSubject): Promise<Told> {
  return readAnswer(await world.platform.ask(text, fillVariables(schema, document, demo.idOf), as))
}

const FOLLOWS = /^content\.content_(access_log|objects)$|\.outbox_events$|^queue\.(jobs|enqueue_receipts)$/

/** What demo has, but for what follows a moment later from what it has read and done itself. */
async function rowsOfDemo(): Promise<Record<string, string>> {
  const rows = await fingerprint(world.owners, demo.plan.tenantId)
  return Object.fromEntries(Object.entries(rows).filter(([table]) => !FOLLOWS.test(table)))
}

async function run(operation: Operation, as: TokenSubject): Promise<Told> {
  await prepare(operation.name)
  return ask(operation, as)
}

const asRole = (role: string): TokenSubject => ({ ...demo.as, roles: [role] })

describe('the documents', () => {
  test.each(documents.map((operation) => [operation.name, operation] as const))(
    '%s fits the schema, is called like its file, and says what it is for',
    (name, { text, document }) => {
      expect(validate(schema, document).map(({ message }) => message)).toEqual([])
      const [, called = ''] = /^(?:query|mutation|subscription) (\w+)/m.exec(text) ?? []
      expect(called).toBe(`${name[0]?.toUpperCase()}${name.slice(1)}`)
      expect(text).toMatch(/^# [A-Z]([^\n]|\n# )*\.\n(query|mutation|subscription) /)
    },
  )

  test('ask for every mutation of campaigns, templates, leads, domains, mailboxes, notifications, jobs and queues', () => {
    const asked = new Set(operations.flatMap(({ document }) => rootsOf(document)))
    const ours =
      /(Campaign|CampaignStep|CampaignSteps|CampaignLeads|Template|Lead|Leads|Domain|EmailAccount|Warmup|Read|Job|Jobs|Queue|DeadLetter|DeadLetters|Alert|enqueue)$/
    const mutations = rootFields(schema, 'Mutation').map((field) => field.name)
    expect(mutations.filter((name) => ours.test(name) && !asked.has(name))).toEqual([])
  })
})

describe('a document', () => {
  test.each(operations.map((operation) => [operation.name, operation] as const))(
    '%s is answered to those who may ask it, refused to the others, and shows the rival nothing',
    async (name, operation) => {
      await prepare(name)
      const before = await rowsOfDemo()
      const foreign = await ask(operation, rival.as)
      expect(findMarkers(foreign, demo.markers)).toEqual([])
      expect(await rowsOfDemo()).toEqual(before)

      const viewer = await run(operation, asRole('viewer'))
      const employee = await run(operation, asRole('employee'))
      const manager = await run(operation, asRole('manager'))
      const answers = [await run(operation, asRole('admin')), await run(operation, demo.as)]
      if (isForStaff(operation)) {
        for (const told of [viewer, employee, manager, ...answers]) expect(codesOf(told)).toContain('FORBIDDEN')
        return
      }
      if (!ADMINS.has(name)) answers.push(manager)
      else expect(rootCodesOf(manager)).toEqual(['FORBIDDEN'])
      if (!MANAGERS.has(name)) answers.push(employee)
      else expect(rootCodesOf(employee)).toEqual(['FORBIDDEN'])
      if (OWN.has(name) || (!MANAGERS.has(name) && !isMutation(operation))) answers.push(viewer)
      else expect(rootCodesOf(viewer)).toEqual(['FORBIDDEN'])
      // The second of two may find done what the first did; nothing else may be in the way.
      for (const told of answers) expect(codesOf(told).filter((code) => code !== 'CONFLICT')).toEqual([])
      expect(answers.some((told) => rootCodesOf(told).length === 0)).toBe(!CONFLICTS.has(name))
    },
  )
})
