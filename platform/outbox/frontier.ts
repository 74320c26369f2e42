import type pg from 'pg'

/** A moment, and a transaction number given out right after it: whoever had a number by then has a lower one. */
type Probe = { at: number; xid: bigint }

// A snapshot's own xmax would not do: it is the highest *completed* number, and younger ones may be at work already.
const PROBE = `SELECT now() AS at, pg_current_xact_id()::text AS xid`

const LOOK = `
  SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, (SELECT min(created_at) FROM outbox_events) AS oldest`

/**
 * created_at is evaluated an instant before the inserting statement gets its transaction number, so a transaction that
 * a probe did not see may carry a slightly earlier time. Generous for a backend that loses its CPU right there.
 */
const SLACK_MS = 200

const PROBES_KEPT = 200
const probesOf = new WeakMap<pg.Pool, Probe[]>()

/**
 * The instant F such that every event accepted (created_at) before F has left the outbox for the queue. An event's
 * transaction may commit long after its created_at: a moment only counts once every transaction that had begun to write
 * by then has ended, and events still in the outbox, parked ones included, hold it back.
 * Null while it can't be told yet: a transaction older than our first look still runs.
 */
export async function outboxFrontier(systemSql: pg.Pool): Promise<Date | null> {
  const probes = probesOf.get(systemSql) ?? []
  probesOf.set(systemSql, probes)
  const probed = await systemSql.query<{ at: Date; xid: string }>(PROBE)
  for (const { at, xid } of probed.rows) probes.push({ at: at.getTime(), xid: BigInt(xid) })
  const looked = await systemSql.query<{ xmin: string; oldest: Date | null }>(LOOK)
  const [look] = looked.rows
  if (!look) return null

  const oldestRunning = BigInt(look.xmin)
  const settled = probes.findLast((probe) => probe.xid < oldestRunning)
  // The newest settled one stays: until the next one settles, it is the answer.
  if (settled) probes.splice(0, probes.length, ...probes.filter((probe) => probe.xid >= settled.xid))
  // Under one very long transaction keep the oldest looks: they are the first to settle.
  if (probes.length > PROBES_KEPT) probes.splice(PROBES_KEPT / 2, 1)
  if (!settled) return null
  const frontier = settled.at - SLACK_MS
  return new Date(Math.min(frontier, look.oldest?.getTime() ?? frontier))
}
