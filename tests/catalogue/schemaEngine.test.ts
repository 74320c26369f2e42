import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PROJECT_ROOT } from '#platform/prisma/freshness.ts'
import { migrateDown, migrateUp } from '#platform/prisma/migrate.ts'
import { findSchemaEngine, prismaEnvironment } from '#platform/prisma/schemaEngine.ts'
import { describeCatalogue } from './describeCatalogue.ts'
import { openTierCatalogue, type TierCatalogue } from './tierCatalogue.ts'

const run = promisify(execFile)
const STAND_IN = fileURLToPath(new URL('platform/prisma/engine/schema-engine.mjs', PROJECT_ROOT))
const HISTORY = `SELECT migration_name, checksum, applied_steps_count, finished_at IS NOT NULL AS finished, rolled_back_at, logs
  FROM _prisma_migrations ORDER BY migration_name`

/** Prisma's own command with the stand-in, whatever engine this machine could download. */
async function prisma(url: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const env = {
    ...process.env,
    QUEUE_OWNER_DATABASE_URL: url,
    PRISMA_SCHEMA_ENGINE_BINARY: STAND_IN,
  }
  const command = ['--import', 'tsx', 'cli/prisma.ts', '--tier', 'queue', ...args]
  try {
    const { stdout, stderr } = await run(process.execPath, command, { cwd: fileURLToPath(PROJECT_ROOT), env })
    return { code: 0, output: stdout + stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, output: stdout + stderr }
  }
}

describe("Prisma's command line over the stand-in schema engine", () => {
  let database: TierCatalogue
  beforeAll(async () => {
    database = await openTierCatalogue('queue')
  })
  afterAll(() => database?.drop())

  test('deploys what migrateUp deploys, with the same history, and each accepts what the other did', async () => {
    const { ownerUrl, admin } = database
    const target = { tier: 'queue', url: ownerUrl } as const
    const ours = { history: (await admin.query(HISTORY)).rows, catalogue: await describeCatalogue(admin) }
    expect(await prisma(ownerUrl, 'migrate', 'status')).toEqual({
      code: 0,
      output: expect.stringContaining('Database schema is up to date'),
    })
    await migrateDown({ ...target, to: null })
    expect(await prisma(ownerUrl, 'migrate', 'deploy')).toEqual({ code: 0, output: expect.any(String) })
    expect({ history: (await admin.query(HISTORY)).rows, catalogue: await describeCatalogue(admin) }).toEqual(ours)
    expect(await migrateUp(target)).toEqual([])
  }, 120_000)

  test('says what is wrong in words and by its exit code', async () => {
    const { ownerUrl } = database
    const nowhere = await prisma('postgresql://queue_owner:x@127.0.0.1:9/queue', 'migrate', 'status')
    expect(nowhere).toEqual({ code: 1, output: expect.stringContaining('P1001') })
    const failed = await prisma(ownerUrl, 'migrate', 'resolve', '--rolled-back', 'no_such_migration')
    expect(failed).toEqual({ code: 1, output: expect.stringContaining('no_such_migration') })
  }, 120_000)
})

describe('the schema engine', () => {
  test('is the native one where it was downloaded, else the stand-in', () => {
    const engines = fileURLToPath(new URL('node_modules/@prisma/engines/', PROJECT_ROOT))
    const native = readdirSync(engines).some((name) => name.startsWith('schema-engine-'))
    expect(findSchemaEngine() === STAND_IN).toBe(!native)
  })

  test('named by the user is the one that runs, if it exists', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'engine-'))
    const own = path.join(folder, 'schema-engine')
    expect(prismaEnvironment({ PRISMA_SCHEMA_ENGINE_BINARY: own }).PRISMA_SCHEMA_ENGINE_BINARY).toBe(findSchemaEngine())
    writeFileSync(own, '')
    expect(prismaEnvironment({ PRISMA_SCHEMA_ENGINE_BINARY: own }).PRISMA_SCHEMA_ENGINE_BINARY).toBe(own)
    rmSync(folder, { recursive: true })
  })

  test('tells its version as the native one does', async () => {
    const { stdout } = await run(STAND_IN, ['--version'])
    expect(stdout).toMatch(/^schema-engine-cli [0-9a-f]{40}\n$/)
  })
})
