import pg from 'pg'
import type { Tier } from '#platform/contracts/tiers.ts'
import { createTierDatabase, type TierDatabase, testServices } from '../support/postgres.ts'

/** A tier's migrated database of one's own, and the superuser's connection to it. */
export type TierCatalogue = TierDatabase & {
  tier: Tier
  admin: pg.Client
  adminUrl: string
}

export async function openTierCatalogue(tier: Tier): Promise<TierCatalogue> {
  const database = await createTierDatabase(tier)
  const adminUrl = new URL(testServices().adminUrl)
  adminUrl.pathname = new URL(database.ownerUrl).pathname
  const admin = new pg.Client({ connectionString: adminUrl.href })
  await admin.connect()
  const drop = async () => {
    await admin.end()
    await database.drop()
  }
  return { ...database, tier, admin, adminUrl: adminUrl.href, drop }
}
