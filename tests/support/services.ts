/**
 * The PostgreSQL and the Redis of one test run: started by globalSetup as a process of its own, so that it is loaded like
 * any other program and not through Jest. Prints one line of JSON when ready, and stops when its input closes, which also
 * happens when the test run is killed.
 */
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import { type RunningPostgres, startPostgres } from '#platform/local/postgres.ts'
import { provisionTier } from '#platform/local/provision.ts'
import { hasRedisServer, type RunningRedis, startRedis } from '#platform/local/redis.ts'
import { loadSecrets, type Secrets } from '#platform/local/secrets.ts'
import { migrateUp } from '#platform/prisma/migrate.ts'
import type { TestServices } from './postgres.ts'

const dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-test-'))
// PostgreSQL's account has to pass through.
chmodSync(dataDir, 0o711)
let postgres: RunningPostgres | undefined
let redis: RunningRedis | undefined

process.stdin.resume()
process.stdin.once('close', () => stop(0))
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})

try {
  const services = await start()
  process.stdout.write(`${JSON.stringify(services)}\n`)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : error}\n`)
  await stop(1)
}

async function start(): Promise<TestServices> {
  if (!hasRedisServer()) throw new Error('the tests need redis-server: install it, or run `npm test`, which can do so')
  const secrets = loadSecrets(dataDir)
  const port = await findFreePort()
  ;[postgres, redis] = await Promise.all([
    startPostgres({ dataDir, port, password: secrets.postgres, durable: false }),
    findFreePort().then((redisPort) => startRedis({ port: redisPort })),
  ])
  const { adminUrl } = postgres
  const broken: TestServices['broken'] = {}
  await Promise.all(
    TIERS.map((tier) =>
      makeTemplate(tier, adminUrl, port, secrets).catch((error) => {
        broken[tier] = error instanceof Error ? error.message : String(error)
      }),
    ),
  )
  return { adminUrl, host: `127.0.0.1:${port}`, passwords: secrets.databases, redisUrl: redis.url, broken }
}

/** The migrated database that each test file's own is copied from. */
async function makeTemplate(tier: Tier, adminUrl: string, port: number, secrets: Secrets): Promise<void> {
  const database = `template_${tier}`
  await provisionTier({ adminUrl, tier, database, passwords: secrets.databases[tier] })
  const url = `postgresql://${tier}_owner:${secrets.databases[tier].owner}@127.0.0.1:${port}/${database}`
  await migrateUp({ tier, url, onProgress: () => {} })
}

async function stop(code: number): Promise<never> {
  await Promise.allSettled([redis?.stop(), postgres?.stop()])
  const data = path.join(dataDir, 'postgres')
  // Where it was moved to, when PostgreSQL's account may not enter the temporary folder.
  rmSync(realpathSync(data), { recursive: true, force: true })
  rmSync(dataDir, { recursive: true, force: true })
  process.exit(code)
}
