import path from 'node:path'
import { z } from 'zod'
import { parseConfig, port } from '#platform/config.ts'

/** Ports of everything one machine runs; all on 127.0.0.1. */
export type LocalPorts = {
  gateway: number
  oltp: number
  content: number
  analytics: number
  queue: number
  /** Health and metrics only. */
  worker: number
  /** Health and metrics only; mail comes in at `smtp`. */
  smtpDoor: number
  smtp: number
  /** Health and the ledger of the sandbox; it takes mail at `sandboxSmtp`. */
  sandbox: number
  sandboxSmtp: number
  postgres: number
  redis: number
}

export type LocalSettings = { dataDir: string; ports: LocalPorts }

/** The setting that moves each port. */
export const PORT_SETTINGS: Record<keyof LocalPorts, string> = {
  gateway: 'GATEWAY_PORT',
  oltp: 'OLTP_PORT',
  content: 'CONTENT_PORT',
  analytics: 'ANALYTICS_PORT',
  queue: 'QUEUE_PORT',
  worker: 'WORKER_PORT',
  smtpDoor: 'SMTP_DOOR_PORT',
  smtp: 'SMTP_PORT',
  sandbox: 'SANDBOX_PORT',
  sandboxSmtp: 'SANDBOX_SMTP_PORT',
  postgres: 'POSTGRES_PORT',
  redis: 'REDIS_PORT',
}

/** Where this machine reaches a service that listens on HOST. */
export function reachableHost({ HOST }: NodeJS.ProcessEnv): string {
  return !HOST || HOST === '0.0.0.0' || HOST === '::' ? '127.0.0.1' : HOST
}

const schema = z.object({
  DATA_DIR: z.string().default('.data'),
  GATEWAY_PORT: port.default(4000),
  OLTP_PORT: port.default(4001),
  CONTENT_PORT: port.default(4002),
  ANALYTICS_PORT: port.default(4003),
  QUEUE_PORT: port.default(4004),
  WORKER_PORT: port.default(4005),
  SMTP_DOOR_PORT: port.default(4006),
  SMTP_PORT: port.default(4025),
  SANDBOX_PORT: port.default(4007),
  SANDBOX_SMTP_PORT: port.default(4026),
  POSTGRES_PORT: port.default(4032),
  REDIS_PORT: port.default(4079),
})

/**
 * Where the local platform keeps its data (an absolute path) and which ports it uses.
 * @throws ConfigError naming every wrong setting
 */
export function readLocalSettings(env: NodeJS.ProcessEnv = process.env): LocalSettings {
  const settings = parseConfig(schema, env)
  return {
    dataDir: path.resolve(settings.DATA_DIR),
    ports: {
      gateway: settings.GATEWAY_PORT,
      oltp: settings.OLTP_PORT,
      content: settings.CONTENT_PORT,
      analytics: settings.ANALYTICS_PORT,
      queue: settings.QUEUE_PORT,
      worker: settings.WORKER_PORT,
      smtpDoor: settings.SMTP_DOOR_PORT,
      smtp: settings.SMTP_PORT,
      sandbox: settings.SANDBOX_PORT,
      sandboxSmtp: settings.SANDBOX_SMTP_PORT,
      postgres: settings.POSTGRES_PORT,
      redis: settings.REDIS_PORT,
    },
  }
}
