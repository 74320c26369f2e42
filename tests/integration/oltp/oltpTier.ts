import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Caller } from '#platform/caller/caller.ts'
import { parseConfig } from '#platform/config.ts'
import type { OutboxEvent } from '#prisma/oltp'
import { buildContent } from '../../../subgraphs/content/app.ts'
import { contentConfig } from '../../../subgraphs/content/config.ts'
import { buildOltp } from '../../../subgraphs/oltp/app.ts'
import { oltpConfig } from '../../../subgraphs/oltp/config.ts'
import type { Database } from '../../../subgraphs/oltp/database.ts'
import { createTierDatabase, type TierDatabase } from '../../support/postgres.ts'
import { openTierDoor } from '../../support/tierDoor.ts'

export type Answer = {
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
  data: any
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string } }[]
}

/** The oltp tier on a database of its own. There is no queue: what it announces stays in its outbox, to be looked at. */
export type OltpTier = {
  db: Database
  databases: TierDatabase[]
  /** Folder of its vault. */
  vaultFolder: string
  ask(query: string, variables: object, caller: Caller): Promise<Answer>
  /** What was announced of a tenant, oldest first. */
  announced(tenantId: string): Promise<Pick<OutboxEvent, keyof typeof ANNOUNCED>[]>
  stopContent(): Promise<void>
  stop(): Promise<void>
}

/** What the relay never changes. */
const ANNOUNCED = {
  id: true,
  eventType: true,
  aggregateType: true,
  aggregateId: true,
  aggregateVersion: true,
  payload: true,
}

const NOBODY = 'http://127.0.0.1:1/graphql'

/** Starts the tier; with `content`, the real content tier beside it. */
export async function startOltpTier({
  content = false,
  maxMessageBytes = 1_000_000,
  poolSize = 10,
  // Nobody answers there.
  dnsServers = '127.0.0.1:9',
  allowsInsideServers = true,
} = {}): Promise<OltpTier> {
  const key = () => randomBytes(32).toString('base64')
  const keys = { gateway: key(), worker: key(), cli: key(), content: key(), queue: key() }
  const beside = content ? await startContent(keys.content) : null
  const database = await createTierDatabase('oltp')
  const vaultFolder = mkdtempSync(path.join(tmpdir(), 'penguinmails-vault-'))
  const config = parseConfig(oltpConfig, {
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
    MAX_MESSAGE_BYTES: String(maxMessageBytes),
    DATABASE_POOL_SIZE: String(poolSize),
    OLTP_DATABASE_URL: database.url,
    OLTP_SYSTEM_DATABASE_URL: database.systemUrl,
    CALLER_KEY_GATEWAY_OLTP: keys.gateway,
    CALLER_KEY_WORKER_OLTP: keys.worker,
    CALLER_KEY_CLI_OLTP: keys.cli,
    CALLER_KEY_OLTP_CONTENT: keys.content,
    CALLER_KEY_OLTP_QUEUE: keys.queue,
    TRACKING_KEY: key(),
    VAULT: `file:${vaultFolder}`,
    DNS_SERVERS: dnsServers,
    ALLOW_INSIDE_MAIL_SERVERS: String(allowsInsideServers),
    CONTENT_URL: beside?.url ?? NOBODY,
    QUEUE_URL: NOBODY,
  })
  const { subgraph, db } = await buildOltp(config)
  const ask = await openTierDoor<Answer>(subgraph.app, 'oltp', (from) => Buffer.from(keys[from as 'gateway'], 'base64'))
  return {
    db,
    vaultFolder,
    databases: [database, ...(beside ? [beside.database] : [])],
    ask,
    announced: async (tenantId) =>
      db.system.outboxEvent.findMany({ where: { tenantId }, orderBy: { id: 'asc' }, select: ANNOUNCED }),
    async stopContent() {
      await beside?.close()
    },
    async stop() {
      await subgraph.close()
      await beside?.close()
      await database.drop()
      await beside?.database.drop()
      rmSync(vaultFolder, { recursive: true, force: true })
    },
  }
}

async function startContent(key: string) {
  const database = await createTierDatabase('content')
  const unused = () => randomBytes(32).toString('base64')
  const config = parseConfig(contentConfig, {
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
    CONTENT_DATABASE_URL: database.url,
    CONTENT_SYSTEM_DATABASE_URL: database.systemUrl,
    CONTENT_MASTER_KEY: unused(),
    CALLER_KEY_OLTP_CONTENT: key,
    CALLER_KEY_GATEWAY_CONTENT: unused(),
    CALLER_KEY_WORKER_CONTENT: unused(),
    CALLER_KEY_CONTENT_QUEUE: unused(),
    QUEUE_URL: NOBODY,
  })
  const { subgraph } = await buildContent(config)
  const address = await subgraph.app.listen({ host: '127.0.0.1', port: 0 })
  let closing: Promise<void> | undefined
  return { database, url: `${address}/graphql`, close: () => (closing ??= subgraph.close()) }
}

/** A user of a tenant, as the gateway vouches for it. */
export function userOf(tenantId: string, { userId = randomUUID() as string, roles = ['owner'] } = {}): Caller {
  return { kind: 'user', from: 'gateway', tenantId, userId, roles, requestId: 'test' }
}

export const STAFF: Caller = {
  kind: 'staff',
  from: 'gateway',
  tenantId: null,
  userId: '01930000-0000-7000-8000-00000000057a',
  roles: ['operator'],
  requestId: 'test',
}

export const SERVICE: Caller = {
  kind: 'service',
  from: 'cli',
  tenantId: null,
  userId: null,
  roles: [],
  requestId: 'test',
}
