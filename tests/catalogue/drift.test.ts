import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { TIERS } from '#platform/contracts/tiers.ts'
import { findDatabaseDrift, findMigrationDrift } from '#platform/prisma/drift.ts'
import { withShadowDatabase } from '#platform/prisma/shadowDatabase.ts'
import { openTierCatalogue, type TierCatalogue } from './tierCatalogue.ts'

describe.each(TIERS)('schema.prisma of %s', (tier) => {
  let database: TierCatalogue
  beforeAll(async () => {
    database = await openTierCatalogue(tier)
  })
  afterAll(() => database?.drop())

  test('is what the migrations make', async () => {
    const { adminUrl, ownerUrl } = database
    const drift = await withShadowDatabase({ tier, adminUrl, ownerUrl }, (shadowUrl) =>
      findMigrationDrift({ tier, shadowUrl }),
    )
    expect(drift).toBeNull()
  })

  test('is what the live database has, and a change made by hand is noticed', async () => {
    const target = { tier, url: database.ownerUrl }
    expect(await findDatabaseDrift(target)).toBeNull()
    await database.admin.query(
      'ALTER TABLE outbox_events ADD COLUMN by_hand text; DROP INDEX idempotency_keys_expires_at_idx',
    )
    const drift = await findDatabaseDrift(target)
    expect(drift).toContain('by_hand')
    expect(drift).toContain('index')
  })
})
