import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { TIERS } from '#platform/contracts/tiers.ts'
import { migrateDown, migrateUp, migrationStatus, planMigrations } from '#platform/prisma/migrate.ts'
import { readMigrations } from '#platform/prisma/migrations.ts'
import { findNonAtomicStatement } from '#platform/prisma/sqlScript.ts'
import { describeCatalogue } from './describeCatalogue.ts'
import { openTierCatalogue, type TierCatalogue } from './tierCatalogue.ts'

describe.each(TIERS)('the migrations of %s', (tier) => {
  let database: TierCatalogue
  beforeEach(async () => {
    database = await openTierCatalogue(tier)
  })
  afterEach(() => database?.drop())

  test('each have a down.sql, and scripts that run as one transaction', () => {
    for (const { name, up, down } of readMigrations(tier)) {
      expect({ name, down }).toEqual({ name, down: expect.any(String) })
      expect({ name, up: findNonAtomicStatement(up), down: findNonAtomicStatement(down ?? '') }).toEqual({
        name,
        up: null,
        down: null,
      })
    }
  })

  test('are undone one by one to what was there before, down to nothing, and applied again', async () => {
    const target = { tier, url: database.ownerUrl }
    const complete = await describeCatalogue(database.admin)
    const names = readMigrations(tier).map(({ name }) => name)
    expect(await migrateDown({ ...target, to: null })).toEqual([...names].reverse())
    const before = [await describeCatalogue(database.admin)]
    expect(before[0]).toEqual(['extension plpgsql', 'schema information_schema', 'schema public'])
    for (const name of names) {
      expect(await migrateUp({ ...target, to: name })).toEqual([name])
      before.push(await describeCatalogue(database.admin))
    }
    expect(before.pop()).toEqual(complete)
    for (const name of names.reverse()) {
      expect(await migrateDown(target)).toEqual([name])
      expect(await describeCatalogue(database.admin)).toEqual(before.pop())
    }
    expect(await migrateUp(target)).toEqual(names.reverse())
    expect(await describeCatalogue(database.admin)).toEqual(complete)
  })
})

describe('migrating', () => {
  const tier = 'queue'
  let database: TierCatalogue
  let target: { tier: typeof tier; url: string }
  beforeEach(async () => {
    database = await openTierCatalogue(tier)
    target = { tier, url: database.ownerUrl }
    await migrateDown({ ...target, to: null })
  })
  afterEach(() => database?.drop())
  const names = readMigrations(tier).map(({ name }) => name)

  test('deploys at the same time apply each migration once', async () => {
    const applied = await Promise.all([1, 2, 3].map(() => migrateUp(target)))
    expect(applied.flat().sort()).toEqual(names)
    expect((await migrationStatus(target)).applied.map(({ name }) => name)).toEqual(names)
  })

  test('a migration that fails names its file, line and reason, and leaves nothing behind', async () => {
    await asOwner(target.url, (owner) => owner.query('CREATE TABLE outbox_events (taken int)'))
    const before = await describeCatalogue(database.admin)
    await expect(migrateUp(target)).rejects.toThrow(
      /^prisma\/queue\/migrations\/20261122000000_walls\/migration\.sql.*relation "outbox_events" already exists/,
    )
    expect(await describeCatalogue(database.admin)).toEqual(before)
    await asOwner(target.url, (owner) => owner.query('DROP TABLE outbox_events'))
    expect(await migrateUp(target)).toEqual(names)
  })

  test('a deploy that is killed half way leaves nothing behind, and the next one goes through', async () => {
    await asOwner(target.url, async (blocker) => {
      // A table of that name, not yet committed, holds the migration up in the middle of its script.
      await blocker.query('BEGIN; CREATE TABLE outbox_events (taken int)')
      const deploy = migrateUp(target)
      const died = expect(deploy).rejects.toThrow()
      await killBlockedDeploy(database.admin)
      await died
      await blocker.query('ROLLBACK')
    })
    expect((await migrationStatus(target)).applied).toEqual([])
    expect(await migrateUp(target)).toEqual(names)
  })

  test('up and down stop where they are told, and refuse names that are not there', async () => {
    const [first = '', second = ''] = names
    expect(await migrateUp({ ...target, to: first })).toEqual([first])
    expect((await planMigrations({ ...target, to: second })).map(({ name }) => name)).toEqual([second])
    await migrateUp(target)
    await migrateDown({ ...target, to: first })
    expect((await migrationStatus(target)).applied.map(({ name }) => name)).toEqual([first])
    await expect(migrateUp({ ...target, to: '2020_none' })).rejects.toThrow('no migration is named 2020_none')
    await expect(migrateDown({ ...target, to: second })).rejects.toThrow('is not applied')
  })

  test('a history that does not fit the files is told: edited, ahead of this code, or left unfinished', async () => {
    await migrateUp(target)
    await asOwner(target.url, (owner) =>
      owner.query(`UPDATE _prisma_migrations SET checksum = 'other' WHERE migration_name = '${names[0]}';
        INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
        VALUES ('a', 'x', '2099_later', now(), 1)`),
    )
    const status = await migrationStatus(target)
    expect(status.applied.filter(({ editedSince }) => editedSince).map(({ name }) => name)).toEqual([names[0]])
    expect(status.unknown).toEqual(['2099_later'])
    const told: string[] = []
    await migrateUp({ ...target, onProgress: (message) => told.push(message) })
    expect(told.join()).toContain(`${names[0]} was changed after it was applied`)
    await asOwner(target.url, (owner) =>
      owner.query("INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('b', 'x', '2099_broken')"),
    )
    await expect(migrateUp(target)).rejects.toThrow('migrate resolve --applied 2099_broken')
  })

  test('a database that is not there is told in plain words, without the password', async () => {
    await expect(migrateUp({ tier, url: 'postgresql://queue_owner:secret@127.0.0.1:9/queue' })).rejects.toThrow(
      /^no database is running at 127\.0\.0\.1:9/,
    )
    const url = new URL(database.ownerUrl)
    url.pathname = '/nowhere'
    await expect(migrateUp({ tier, url: url.href })).rejects.toThrow('has no database "nowhere"')
    url.password = 'wrong'
    await expect(migrateUp({ tier, url: url.href })).rejects.toThrow('does not accept the password of role queue_owner')
  })
})

async function asOwner(url: string, work: (owner: pg.Client) => Promise<unknown>): Promise<void> {
  const owner = new pg.Client({ connectionString: url })
  await owner.connect()
  try {
    await work(owner)
  } finally {
    await owner.end()
  }
}

async function killBlockedDeploy(admin: pg.Client): Promise<void> {
  const find = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'penguinmails-migrate'
      AND wait_event_type = 'Lock' AND query NOT LIKE 'BEGIN%'`
  const deadline = Date.now() + 20_000
  while (Date.now() < deadline) {
    if ((await admin.query(find)).rowCount) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('the deploy never came to wait')
}
