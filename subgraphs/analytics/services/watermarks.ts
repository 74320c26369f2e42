import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { AnalyticsDatabase } from '../context.ts'

/** Pipelines that report how far they have got. */
export const PIPELINES: readonly string[] = ['email_events']

/**
 * The instant up to which mail events are counted, as a part of a larger statement: read in the snapshot of the facts
 * beside it, it can't promise more than they hold.
 */
export const AS_OF = `(SELECT watermark_at FROM analytics_watermarks WHERE pipeline = 'email_events')`

/** How far a clock may be ahead of ours; milliseconds. */
const CLOCK_SKEW_MS = 60_000

const ADVANCE = `
  INSERT INTO analytics_watermarks AS mark (pipeline, watermark_at) VALUES ($1, $2)
  ON CONFLICT (pipeline) DO UPDATE SET watermark_at = greatest(mark.watermark_at, EXCLUDED.watermark_at)
  RETURNING watermark_at`

/**
 * Says that every event accepted before `upTo` is counted; an earlier instant than the one known changes nothing.
 * Answers where the pipeline stands now.
 * @throws AppError INVALID_INPUT for an unknown pipeline, or an instant that is yet to come: it could never be taken back
 */
export async function advanceWatermark(db: AnalyticsDatabase, pipeline: string, upTo: Date): Promise<Date> {
  if (!PIPELINES.includes(pipeline)) throw new AppError('INVALID_INPUT', `pipeline: there is none called ${pipeline}`)
  if (upTo.getTime() > Date.now() + CLOCK_SKEW_MS) throw new AppError('INVALID_INPUT', 'upTo: is in the future')
  const { rows } = await db.systemSql.query<{ watermark_at: Date }>(ADVANCE, [pipeline, upTo])
  return (rows[0] as { watermark_at: Date }).watermark_at
}

/** How far each pipeline has got. The same for every tenant: `scope` is only whose name the question is asked in. */
export function listWatermarks(db: AnalyticsDatabase, scope: string) {
  return runAsTenant(scope, () =>
    db.tenant.analyticsWatermark.findMany({
      select: { pipeline: true, upTo: true, updatedAt: true },
      orderBy: { pipeline: 'asc' },
    }),
  )
}
