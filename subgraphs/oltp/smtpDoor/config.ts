import { hostname } from 'node:os'
import { z } from 'zod'
import { outgoingEdgeSettings, outgoingEdges } from '#platform/caller/edges.ts'
import { databaseUrl, listenSettings, port, positiveInteger, redisUrl } from '#platform/config.ts'

const ASKED = ['content'] as const

/** Settings of the door for incoming mail; README.md lists them. */
export const smtpDoorConfig = z
  .object({
    ...listenSettings,
    SMTP_PORT: port.default(4025),
    /** Health and metrics only. */
    SMTP_DOOR_PORT: port.default(4006),
    SMTP_DOOR_PROTOCOL: z.enum(['smtp', 'lmtp']).default('smtp'),
    /** How it introduces itself to those who bring mail. */
    SMTP_DOOR_NAME: z.string().default(hostname()),
    SMTP_DOOR_MAX_CONNECTIONS: positiveInteger.default(100),
    /** Mails under way are held in memory: what comes when these bytes are taken is asked to come later. */
    SMTP_DOOR_HELD_BYTES: positiveInteger.default(256 * 1024 * 1024),
    /** A client that says nothing for longer is hung up on. */
    SMTP_DOOR_IDLE_MS: positiveInteger.default(60_000),
    /** One that takes longer for a single mail as well, however busy it seems. */
    SMTP_DOOR_MAIL_MS: positiveInteger.default(10 * 60_000),
    /** How long mails under way may take to finish after SIGTERM. */
    SMTP_DOOR_DRAIN_MS: z.coerce.number().int().min(0).max(9_000).default(8_000),
    REDIS_URL: redisUrl.optional(),
    MAX_MESSAGE_BYTES: positiveInteger.default(25 * 1024 * 1024),
    OLTP_DATABASE_URL: databaseUrl,
    OLTP_SYSTEM_DATABASE_URL: databaseUrl,
    DATABASE_POOL_SIZE: positiveInteger.default(10),
    DATABASE_STATEMENT_TIMEOUT_MS: positiveInteger.default(15_000),
  })
  // An intersection keeps the types of the settings above; the edges' names are only known as strings.
  .and(z.object(outgoingEdgeSettings('oltp', ASKED)))
  .transform((settings) => ({
    host: settings.HOST,
    port: settings.SMTP_DOOR_PORT,
    logLevel: settings.LOG_LEVEL,
    smtp: {
      port: settings.SMTP_PORT,
      protocol: settings.SMTP_DOOR_PROTOCOL,
      name: settings.SMTP_DOOR_NAME,
      maxConnections: settings.SMTP_DOOR_MAX_CONNECTIONS,
      idleMs: settings.SMTP_DOOR_IDLE_MS,
      mailMs: settings.SMTP_DOOR_MAIL_MS,
    },
    heldBytes: settings.SMTP_DOOR_HELD_BYTES,
    drainMs: settings.SMTP_DOOR_DRAIN_MS,
    redisUrl: settings.REDIS_URL,
    maxMessageBytes: settings.MAX_MESSAGE_BYTES,
    database: {
      url: settings.OLTP_DATABASE_URL,
      systemUrl: settings.OLTP_SYSTEM_DATABASE_URL,
      poolSize: settings.DATABASE_POOL_SIZE,
      statementTimeoutMs: settings.DATABASE_STATEMENT_TIMEOUT_MS,
    },
    asks: outgoingEdges('oltp', ASKED, settings),
  }))
export type SmtpDoorConfig = z.output<typeof smtpDoorConfig>
