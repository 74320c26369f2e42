import type pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { STAFF_INBOX } from '#platform/contracts/notification.ts'
import type { Log } from '#platform/log.ts'
import { notify } from '#platform/outbox/announce.ts'
import { type Measure, measureAlerts, type Watched } from './alertMeasures.ts'
import { describeEnd, describeFiring } from './alertWords.ts'
import type { Sql } from './sql.ts'
import { takeTurn } from './turns.ts'

type Alert = Watched & {
  name: string
  threshold: number
  resolveThreshold: number | null
  holdSeconds: number
  severity: 'info' | 'warning' | 'critical'
  channels: string[]
  isActive: boolean
  aboveSinceAt: Date | null
  belowSinceAt: Date | null
  firingId: string | null
  firedAt: Date | null
}

export type AlertChange = { alertId: string; firingId: string; name: string; value: number; message: string }
/** What began and what ended. */
export type Evaluation = { fired: AlertChange[]; resolved: AlertChange[] }

// The lock keeps an operator's change from being mixed with what was decided by the values before it.
const FIND = `
  SELECT a.id, a.name, a.queue_name AS "queueName", a.alert_type AS "alertType", a.threshold, a.severity, a.channels,
    a.resolve_threshold AS "resolveThreshold", a.window_seconds AS "windowSeconds", a.hold_seconds AS "holdSeconds",
    a.is_active AS "isActive", a.above_since_at AS "aboveSinceAt", a.below_since_at AS "belowSinceAt",
    h.id AS "firingId", h.fired_at AS "firedAt"
  FROM queue_alerts a LEFT JOIN queue_alert_history h ON h.alert_id = a.id AND h.resolved_at IS NULL
  WHERE a.is_active OR h.id IS NOT NULL ORDER BY a.id FOR NO KEY UPDATE OF a`

const REMEMBER = `
  UPDATE queue_alerts a SET above_since_at = s."aboveSinceAt", below_since_at = s."belowSinceAt"
  FROM jsonb_to_recordset($1::jsonb) AS s(id uuid, "aboveSinceAt" timestamptz, "belowSinceAt" timestamptz)
  WHERE a.id = s.id`

const FIRE = `
  INSERT INTO queue_alert_history (id, alert_id, value, message, fired_at) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (alert_id) WHERE resolved_at IS NULL DO NOTHING`

const RESOLVE = 'UPDATE queue_alert_history SET resolved_at = $2 WHERE id = $1 AND resolved_at IS NULL'

/** One process's chore comes a little early now and then: that is no reason to leave the turn out. */
const NOT_AGAIN_WITHIN_MS = 8_000
/** Nobody looked for so long: what was above its threshold before may have been below since. */
const FORGOTTEN_AFTER_MS = 60_000

const PRIORITIES = { info: 'normal', warning: 'high', critical: 'urgent' } as const
const CHANNELS = ['in_app', 'email', 'push'] as const

/**
 * Compares every active alert with its threshold, unless another process is at it or was within eight seconds. One that
 * has been above for its hold time fires: a row of history and a notification, in one transaction. One that burns and has
 * been at or below the value at which it ends for that time is resolved likewise. An alert that was switched off ends
 * without a word.
 * @param now instead of the database's clock
 */
export async function evaluateAlerts(
  pool: pg.Pool,
  { log, now: clock }: { log: Log; now?: Date },
): Promise<Evaluation> {
  const answer = await takeTurn<Evaluation & { reachedAt: Date | null }>(
    pool,
    'alerts',
    async (tx, { reachedAt, now }) => {
      const sinceLast = now.getTime() - reachedAt.getTime()
      if (sinceLast < NOT_AGAIN_WITHIN_MS) return { fired: [], resolved: [], reachedAt: null }
      const evaluation = await evaluate(tx, { now, isFresh: sinceLast <= FORGOTTEN_AFTER_MS, log })
      return { ...evaluation, reachedAt: now }
    },
    clock,
  )
  const { fired, resolved } = answer ?? { fired: [], resolved: [] }
  for (const { name, message, value } of fired) log.warn({ alert: name, value }, message)
  for (const { name, message, value } of resolved) log.info({ alert: name, value }, message)
  return { fired, resolved }
}

type Moment = { now: Date; isFresh: boolean; log: Log }

async function evaluate(tx: Sql, { now, isFresh, log }: Moment): Promise<Evaluation> {
  const { rows: alerts } = await tx.query<Alert>(FIND)
  const onFailure = (err: unknown) => log.warn({ err }, 'the values of some alerts cannot be had')
  const active = alerts.filter(({ isActive }) => isActive)
  const measures = await measureAlerts(tx, active, now, onFailure)
  const evaluation: Evaluation = { fired: [], resolved: [] }
  const remembered: Pick<Alert, 'id' | 'aboveSinceAt' | 'belowSinceAt'>[] = []
  for (const alert of alerts) {
    const measure = measures.get(alert.id)
    if (!alert.isActive) await resolve(tx, alert, { value: 0, queueName: null }, now)
    if (!alert.isActive || !measure) continue
    const since = decide(isFresh ? alert : { ...alert, aboveSinceAt: null, belowSinceAt: null }, measure.value, now)
    if (since.isFiring) evaluation.fired.push(...(await fire(tx, alert, measure, now)))
    if (since.isEnding) evaluation.resolved.push(...(await resolve(tx, alert, measure, now)))
    const { aboveSinceAt, belowSinceAt } = since
    if (!isSame(alert.aboveSinceAt, aboveSinceAt) || !isSame(alert.belowSinceAt, belowSinceAt)) {
      remembered.push({ id: alert.id, aboveSinceAt, belowSinceAt })
    }
  }
  if (remembered.length > 0) await tx.query(REMEMBER, [JSON.stringify(remembered)])
  return evaluation
}

type Decision = Pick<Alert, 'aboveSinceAt' | 'belowSinceAt'> & { isFiring: boolean; isEnding: boolean }

/** Where an alert stands after one more value. While it burns only the way down counts, else only the way up. */
export function decide(
  alert: Pick<Alert, 'threshold' | 'resolveThreshold' | 'holdSeconds' | 'aboveSinceAt' | 'belowSinceAt' | 'firingId'>,
  value: number,
  now: Date,
): Decision {
  const { threshold, resolveThreshold, holdSeconds, firingId } = alert
  const hasHeld = (since: Date | null) => since !== null && now.getTime() - since.getTime() >= holdSeconds * 1_000
  if (firingId === null) {
    const aboveSinceAt = value > threshold ? (alert.aboveSinceAt ?? now) : null
    const isFiring = hasHeld(aboveSinceAt)
    return { aboveSinceAt: isFiring ? null : aboveSinceAt, belowSinceAt: null, isFiring, isEnding: false }
  }
  const belowSinceAt = value <= (resolveThreshold ?? threshold) ? (alert.belowSinceAt ?? now) : null
  const isEnding = hasHeld(belowSinceAt)
  return { aboveSinceAt: null, belowSinceAt: isEnding ? null : belowSinceAt, isFiring: false, isEnding }
}

async function fire(tx: Sql, alert: Alert, measure: Measure, now: Date): Promise<AlertChange[]> {
  const firingId = uuidv7()
  const message = describeFiring(alert, measure)
  const { rowCount } = await tx.query(FIRE, [firingId, alert.id, measure.value, message, now])
  if (!rowCount) return []
  const change = { alertId: alert.id, firingId, name: alert.name, value: measure.value, message }
  await tell(tx, alert, { type: 'queue_alert_fired', title: alert.name, priority: PRIORITIES[alert.severity], change })
  return [change]
}

async function resolve(tx: Sql, alert: Alert, { value }: Measure, now: Date): Promise<AlertChange[]> {
  const { firingId, firedAt } = alert
  if (firingId === null || firedAt === null) return []
  await tx.query(RESOLVE, [firingId, now])
  const message = describeEnd(alert, Math.max(0, (now.getTime() - firedAt.getTime()) / 1_000))
  const change = { alertId: alert.id, firingId, name: alert.name, value, message }
  const title = `Over: ${alert.name}`
  if (alert.isActive) await tell(tx, alert, { type: 'queue_alert_resolved', title, priority: 'normal', change })
  return [change]
}

type Telling = { type: string; title: string; priority: 'normal' | 'high' | 'urgent'; change: AlertChange }

/** Whoever runs the platform: staff have no rows among users, and share one inbox. */
async function tell(tx: Sql, alert: Alert, { type, title, priority, change }: Telling): Promise<void> {
  const { alertId, firingId, value, message } = change
  const metadata = { alertId, firingId, value, alertType: alert.alertType, queueName: alert.queueName }
  for (const channel of CHANNELS.filter((name) => alert.channels.includes(name))) {
    await notify(tx, { ...STAFF_INBOX, type, title, message, channel, priority, metadata })
  }
}

function isSame(a: Date | null, b: Date | null): boolean {
  return a?.getTime() === b?.getTime()
}
