import { z } from 'zod'
import { outgoingEdgeSettings, outgoingEdges } from '#platform/caller/edges.ts'
import { databaseUrl, dnsServersSetting, listenSettings, port, positiveInteger, redisUrl } from '#platform/config.ts'
import { subgraphConfig } from '#platform/subgraph/config.ts'
import { vaultSetting } from '#platform/vault.ts'

/** The relay holds one connection while it enqueues over another: with one it would wait for itself. */
const poolSize = positiveInteger.min(2).default(10)

/** Settings of the queue subgraph; README.md lists them. */
export const queueConfig = subgraphConfig('queue', {
  asks: [],
  settings: { REDIS_URL: redisUrl.optional(), DATABASE_POOL_SIZE: poolSize },
})

const ASKED = ['oltp', 'content', 'analytics'] as const

/** Settings of the worker; README.md lists them. */
export const workerConfig = z
  .object({
    ...listenSettings,
    WORKER_PORT: port.default(4005),
    QUEUE_DATABASE_URL: databaseUrl,
    QUEUE_SYSTEM_DATABASE_URL: databaseUrl,
    DATABASE_POOL_SIZE: positiveInteger.default(10),
    DATABASE_STATEMENT_TIMEOUT_MS: positiveInteger.default(15_000),
    REDIS_URL: redisUrl.optional(),
    /** How long a dead worker's jobs stay with it. */
    WORKER_LEASE_MS: z.coerce.number().int().min(300).default(30_000),
    /** How long an idle worker waits when nobody wakes it. */
    WORKER_POLL_MS: positiveInteger.default(250),
    /** How long a mail server may take to be reached, to greet, and to say anything at all later. */
    SMTP_CONNECT_MS: positiveInteger.default(10_000),
    SMTP_GREETING_MS: positiveInteger.default(15_000),
    SMTP_SILENCE_MS: positiveInteger.default(60_000),
    /** Where the secrets are that mailboxes and domains name: file:<folder> or env:<PREFIX>. */
    VAULT: vaultSetting.default('file:.data/vault'),
    /** Whether tenants' mail servers may be on this machine or in our own networks: for development. */
    ALLOW_INSIDE_MAIL_SERVERS: z.stringbool().default(false),
    /** DNS servers that mail servers are found by; none means the machine's own. */
    DNS_SERVERS: dnsServersSetting.default([]),
    /** How long running jobs may go on after SIGTERM. */
    WORKER_DRAIN_MS: z.coerce.number().int().min(0).max(9_000).default(8_000),
  })
  // An intersection keeps the types of the settings above; the edges' names are only known as strings.
  .and(z.object(outgoingEdgeSettings('worker', ASKED)))
  .transform((settings) => ({
    host: settings.HOST,
    port: settings.WORKER_PORT,
    logLevel: settings.LOG_LEVEL,
    database: {
      url: settings.QUEUE_DATABASE_URL,
      systemUrl: settings.QUEUE_SYSTEM_DATABASE_URL,
      poolSize: settings.DATABASE_POOL_SIZE,
      statementTimeoutMs: settings.DATABASE_STATEMENT_TIMEOUT_MS,
    },
    redisUrl: settings.REDIS_URL,
    leaseMs: settings.WORKER_LEASE_MS,
    pollMs: settings.WORKER_POLL_MS,
    drainMs: settings.WORKER_DRAIN_MS,
    vault: settings.VAULT,
    smtpTimeouts: {
      connect: settings.SMTP_CONNECT_MS,
      greeting: settings.SMTP_GREETING_MS,
      silence: settings.SMTP_SILENCE_MS,
    },
    mailServers: { allowsInside: settings.ALLOW_INSIDE_MAIL_SERVERS, dnsServers: settings.DNS_SERVERS },
    asks: outgoingEdges('worker', ASKED, settings),
  }))
export type WorkerConfig = z.output<typeof workerConfig>
