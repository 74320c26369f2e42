import { randomBytes, randomUUID } from 'node:crypto'
import type { Caller } from '#platform/caller/caller.ts'
import { parseConfig } from '#platform/config.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { buildContent } from '../../../subgraphs/content/app.ts'
import { contentConfig } from '../../../subgraphs/content/config.ts'
import { createTierDatabase } from '../../support/postgres.ts'
import { openTierDoor } from '../../support/tierDoor.ts'

export type Answer = {
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
  data: any
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string } }[]
}

export type ContentTier = Awaited<ReturnType<typeof startContentTier>>

/** The content tier on a database of its own. There is no queue. */
export async function startContentTier({ maxMessageBytes = 1_000_000 } = {}) {
  const key = () => randomBytes(32).toString('base64')
  const keys = { gateway: key(), worker: key(), oltp: key(), cli: key() }
  const database = await createTierDatabase('content')
  const masterKey = key()
  const config = parseConfig(contentConfig, {
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
    MAX_MESSAGE_BYTES: String(maxMessageBytes),
    CONTENT_DATABASE_URL: database.url,
    CONTENT_SYSTEM_DATABASE_URL: database.systemUrl,
    CONTENT_MASTER_KEY: masterKey,
    CALLER_KEY_GATEWAY_CONTENT: keys.gateway,
    CALLER_KEY_WORKER_CONTENT: keys.worker,
    CALLER_KEY_OLTP_CONTENT: keys.oltp,
    CALLER_KEY_CLI_CONTENT: keys.cli,
    CALLER_KEY_CONTENT_QUEUE: key(),
    QUEUE_URL: 'http://127.0.0.1:1/graphql',
  })
  const built = await buildContent(config)
  // Nobody takes what is announced, and mails are indexed and looks written down when a test says so: what does so by itself
  // would be counted among its statements, and would part looks that belong together.
  await Promise.all([built.relay.stop(), built.indexer.stop(), built.accesses.close()])
  const ask = await openTierDoor<Answer>(built.subgraph.app, 'content', (from) =>
    Buffer.from(keys[from as 'gateway'], 'base64'),
  )
  return {
    ...built,
    database,
    masterKey: Buffer.from(masterKey, 'base64'),
    ask,
    /** Stores mails by key, as oltp does; answers the results, or throws with the error's code. */
    async store(tenantId: string, mails: Record<string, string | Buffer>): Promise<StoredMail[]> {
      const messages = Object.entries(mails).map(([storageKey, raw]) => ({
        storageKey,
        raw: Buffer.from(raw).toString('base64'),
      }))
      const answer = await ask(STORE, { messages }, serviceOf(tenantId))
      if (answer.errors) throw new Error(answer.errors[0]?.extensions.code)
      return answer.data.storeMessages
    },
    /** What `work` asked of the database. */
    statementsOf: <Result>(work: () => Promise<Result>) => built.db.statements.during(work),
    /** Rows of the tenant by SQL, for what the graph does not show. */
    rows: async <Row extends object>(tenantId: string, sql: string): Promise<Row[]> =>
      runAsTenant(tenantId, async () => (await built.db.tenantSql.query<Row>(sql)).rows),
    async stop() {
      await built.subgraph.close()
      await database.drop()
    },
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
export type StoredMail = Record<string, any>

const STORE = `mutation ($messages: [StoreMessageInput!]!) { storeMessages(messages: $messages) {
  storageKey alreadyStored parseStatus rawSizeBytes storedSizeBytes contentHash messageId inReplyTo references fromEmail
  toEmails subject date hasAttachments messageKind isBulk
  report { originalMessageId recipients { recipient originalRecipient outcome bounceType status diagnostic } } } }`

/** A user of a tenant, as the gateway vouches for it. */
export function userOf(tenantId: string, { userId = randomUUID() as string, roles = ['owner'] } = {}): Caller {
  return { kind: 'user', from: 'gateway', tenantId, userId, roles, requestId: 'test' }
}

/** Another tier on behalf of a tenant, or of none. */
export function serviceOf(tenantId: string | null): Caller {
  return { kind: 'service', from: 'oltp', tenantId, userId: null, roles: [], requestId: 'test' }
}

export const STAFF: Caller = {
  kind: 'staff',
  from: 'gateway',
  tenantId: null,
  userId: randomUUID(),
  roles: ['operator'],
  requestId: 'test',
}
