import type pg from 'pg'

/** A moment at which we looked: every transaction numbered below `xmax` had begun; no other had. */
type Probe = { at: number; xmax: bigint }

// now() is taken before the snapshot, so a transaction that begins in between can only make the probe too cautious.
const LOOK = `
  SELECT now() AS at, pg_snapshot_xmax(s.snapshot)::text AS xmax, pg_snapshot_xmin(s.snapshot)::text AS xmin,
         (SELECT min(created_at) FROM outbox_events) AS oldest
  FROM (SELECT pg_current_snapshot() AS snapshot) s`

/**
 * created_at is evaluated an instant before the inserting statement gets its transaction number, so a transaction that
 * a probe did not see may carry a slightly earlier time. Generous for a backend that loses its CPU right there.
 */
const SLACK_MS = 200

const PROBES_KEPT = 200
const probesOf = new WeakMap<pg.Pool, Probe[]>()

/**
 * The instant F such that every event accepted (created_at) before F has left the outbox for the queue. An event's
 * transaction may commit long after its created_at: a moment only counts once every transaction that had begun by
 * then has ended, and events still in the outbox, parked ones included, hold it back.
 * Null while it can't be told yet: a transaction older than our first look still runs.
 */
export async function outboxFrontier(systemSql: pg.Pool): Promise<Date | null> {
  const { rows } = await systemSql.query<{ at: Date; xmax: string; xmin: string; oldest: Date | null }>(LOOK)
  const look = rows[0]
  if (!look) return null
  const oldestRunning = BigInt(look.xmin)
  const probes = probesOf.get(systemSql) ?? []
  probesOf.set(systemSql, probes)
  probes.push({ at: look.at.getTime(), xmax: BigInt(look.xmax) })
  const settled = probes.findLastIndex((probe) => probe.xmax <= oldestRunning)
  if (settled > 0) probes.splice(0, settled)
  // Under one very long transaction keep the oldest looks: they are the first to settle.
  if (probes.length > PROBES_KEPT) probes.splice(PROBES_KEPT / 2, 1)
  const probe = settled >= 0 ? probes[0] : undefined
  if (!probe) return null
  const frontier = probe.at - SLACK_MS
  return new Date(Math.min(frontier, look.oldest?.getTime() ?? frontier))
}
