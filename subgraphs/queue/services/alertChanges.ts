import { v7 as uuidv7 } from 'uuid'
import type { AcknowledgeAlertInput, CreateQueueAlertInput, UpdateQueueAlertInput } from '#graphql/queue'
import { type Caller, requireStaff } from '#platform/caller/caller.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { audit } from '#platform/outbox/announce.ts'
import type { Context } from '../context.ts'
import { inTransaction, type Sql } from '../engine/sql.ts'
import { type AlertSettings, checkAlert, checkNote, SETTINGS } from './alertInput.ts'
import type { AlertRow, FiringRow } from './rows.ts'

const INSERT = `
  INSERT INTO queue_alerts (id, queue_name, alert_type, name, threshold, resolve_threshold, window_seconds, hold_seconds,
    severity, channels, is_active)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (name) DO NOTHING`

const LOCK = `
  SELECT name, alert_type AS "alertType", threshold, resolve_threshold AS "resolveThreshold",
    window_seconds AS "windowSeconds", hold_seconds AS "holdSeconds", severity, channels, is_active AS "isActive"
  FROM queue_alerts WHERE id = $1 FOR UPDATE`

const UPDATE = `
  UPDATE queue_alerts SET name = $2, threshold = $3, resolve_threshold = $4, window_seconds = $5, hold_seconds = $6,
    severity = $7, channels = $8, is_active = $9, above_since_at = NULL, below_since_at = NULL
  WHERE id = $1 AND NOT EXISTS (SELECT FROM queue_alerts WHERE name = $2 AND id <> $1)`

const LOCK_FIRING = 'SELECT acknowledged_at AS "acknowledgedAt" FROM queue_alert_history WHERE id = $1 FOR UPDATE'

const ACKNOWLEDGE = `
  UPDATE queue_alert_history SET acknowledged_at = clock_timestamp(), acknowledged_by = $2, acknowledgement_note = $3
  WHERE id = $1`

/**
 * Makes an alert.
 * @throws AppError FORBIDDEN; INVALID_INPUT; CONFLICT for a name that is taken
 */
export async function createQueueAlert(context: Context, input: CreateQueueAlertInput): Promise<AlertRow> {
  const operator = requireStaff(context.caller, 'operator')
  const { queueName = null, resolveThreshold = null, ...given } = input
  const settings = checkAlert({ ...given, resolveThreshold })
  const id = uuidv7()
  await inTransaction(context.db.systemSql, async (tx) => {
    if (queueName !== null) await requireQueue(tx, queueName)
    const { rowCount } = await tx.query(INSERT, [id, queueName, settings.alertType, ...valuesOf(settings)])
    if (!rowCount) throw nameIsTaken()
    const newValues = { ...settings, queueName }
    await record(tx, operator, { action: 'alert.created', resourceType: 'QueueAlert', resourceId: id, newValues })
  })
  context.relay.wake()
  return getAlert(context, id)
}

/**
 * Changes what is given of an alert; what it has remembered of its value is forgotten.
 * @throws AppError FORBIDDEN; INVALID_INPUT; NOT_FOUND; CONFLICT for a name that is taken
 */
export async function updateQueueAlert(context: Context, input: UpdateQueueAlertInput): Promise<AlertRow> {
  const operator = requireStaff(context.caller, 'operator')
  const id = readId(input.id, 'input.id')
  await inTransaction(context.db.systemSql, async (tx) => {
    const { rows } = await tx.query<AlertSettings>(LOCK, [id])
    const [before] = rows
    if (!before) throw new AppError('NOT_FOUND', 'there is no such alert')
    const changes = SETTINGS.filter((setting) => input[setting] !== undefined)
    const settings = checkAlert({ ...before, ...pick(input, changes) })
    const { rowCount } = await tx.query(UPDATE, [id, ...valuesOf(settings)])
    if (!rowCount) throw nameIsTaken()
    await record(tx, operator, {
      ...{ action: 'alert.updated', resourceType: 'QueueAlert', resourceId: id },
      ...{ oldValues: pick(before, changes), newValues: pick(settings, changes) },
    })
  })
  context.relay.wake()
  return getAlert(context, id)
}

/**
 * Says that someone has seen what an alert fired for.
 * @throws AppError FORBIDDEN; INVALID_INPUT; NOT_FOUND; CONFLICT when somebody said so before
 */
export async function acknowledgeAlert(context: Context, input: AcknowledgeAlertInput): Promise<FiringRow> {
  const operator = requireStaff(context.caller, 'operator')
  const id = readId(input.id, 'input.id')
  const note = checkNote(input.note)
  await inTransaction(context.db.systemSql, async (tx) => {
    const { rows } = await tx.query<{ acknowledgedAt: Date | null }>(LOCK_FIRING, [id])
    if (!rows[0]) throw new AppError('NOT_FOUND', 'no alert has fired by that id')
    if (rows[0].acknowledgedAt) throw new AppError('CONFLICT', 'somebody has acknowledged it')
    await tx.query(ACKNOWLEDGE, [id, operator.userId ?? 'operator', note])
    const notes = note ?? undefined
    await record(tx, operator, {
      ...{ action: 'alert.acknowledged', resourceType: 'QueueAlertFiring', resourceId: id, notes },
    })
  })
  context.relay.wake()
  const firing = await context.db.system.queueAlertHistory.findUniqueOrThrow({
    where: { id },
    include: { alert: true },
  })
  return firing as FiringRow
}

type Entry = Omit<Parameters<typeof audit>[1], 'tenantId' | 'correlationId' | 'adminUserId'>

/** Alerts are the platform's own: so is what is recorded of them. */
function record(tx: Sql, { userId, requestId }: Caller, entry: Entry): Promise<string> {
  return audit(tx, { tenantId: PLATFORM_TENANT, correlationId: requestId, adminUserId: userId, ...entry })
}

async function requireQueue(tx: Sql, queueName: string): Promise<void> {
  const isName = !queueName.includes('\0')
  const found = isName && (await tx.query('SELECT FROM job_queues WHERE name = $1', [queueName])).rowCount
  if (!found) throw new AppError('INVALID_INPUT', 'input.queueName: there is no such queue')
}

async function getAlert({ db }: Context, id: string): Promise<AlertRow> {
  return (await db.system.queueAlert.findUniqueOrThrow({ where: { id } })) as AlertRow
}

function valuesOf(settings: AlertSettings): unknown[] {
  return SETTINGS.map((setting) => settings[setting])
}

function pick(from: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)))
}

function nameIsTaken(): AppError {
  return new AppError('CONFLICT', 'input.name: another alert has it')
}
