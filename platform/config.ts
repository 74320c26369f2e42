import { z } from 'zod'

/** What is wrong with a process's settings: one line per setting. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`${problems.length} setting(s) missing or wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/**
 * Reads settings from the environment. An empty variable counts as unset.
 * @throws ConfigError naming every problem at once
 */
export function parseConfig<Schema extends z.ZodType>(schema: Schema, env: NodeJS.ProcessEnv): z.output<Schema> {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  const parsed = schema.safeParse(present)
  if (parsed.success) return parsed.data
  throw new ConfigError(
    parsed.error.issues.map((issue) => {
      const name = issue.path.join('.')
      const missing = name !== '' && !(name in present)
      return `${name || 'settings'}: ${missing ? 'is not set' : issue.message}`
    }),
  )
}

/** `parseConfig` for a process's start: prints every problem to stderr and exits 1. */
export function readConfig<Schema extends z.ZodType>(schema: Schema, env: NodeJS.ProcessEnv = process.env) {
  try {
    return parseConfig(schema, env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

/** A TCP port. */
export const port = z.coerce.number('is not a port number').int('is not a port number').min(0).max(65_535)

/** A positive whole number: sizes, counts, milliseconds. */
export const positiveInteger = z.coerce.number().int().positive()

/** DNS servers to ask, comma-separated (`127.0.0.1:5353`); none means the machine's own. */
export const dnsServersSetting = z.string().transform((text) =>
  text
    .split(',')
    .map((server) => server.trim())
    .filter(Boolean),
)

/** A PostgreSQL connection string. */
export const databaseUrl = z.string().regex(/^postgres(ql)?:\/\//, 'is not a postgres:// URL')

/** The address of another service. */
export const httpUrl = z.url({ protocol: /^https?$/, message: 'is not an http(s) URL' })

/** A Redis. */
export const redisUrl = z.url({ protocol: /^rediss?$/, message: 'is not a redis:// URL' })

/** A key of exactly 32 bytes, written in base64. */
export const key32 = z
  .string()
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((bytes) => bytes.length === 32, 'is not 32 bytes in base64')

/** What every listening process takes. */
export const listenSettings = {
  HOST: z.string().default('127.0.0.1'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
}
