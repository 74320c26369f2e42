import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { Tier } from '#platform/contracts/tiers.ts'

/**
 * Runs `work` with an empty database that belongs to the tier's owner, and drops it afterwards. Prisma replays
 * migrations in such a shadow database; owners may not create databases, so an administrator's connection makes it.
 * The shadow's URL is the owner's with another database, and must reach the same server as `adminUrl`.
 */
export async function withShadowDatabase<T>(
  { tier, adminUrl, ownerUrl }: { tier: Tier; adminUrl: string; ownerUrl: string },
  work: (shadowUrl: string) => Promise<T>,
): Promise<T> {
  const name = `shadow_${tier}_${randomBytes(6).toString('hex')}`
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  try {
    await admin.query(`CREATE DATABASE ${name} OWNER ${tier}_owner TEMPLATE template0`)
    try {
      const shadowUrl = new URL(ownerUrl)
      shadowUrl.pathname = `/${name}`
      return await work(shadowUrl.href)
    } finally {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
    }
  } finally {
    await admin.end()
  }
}
