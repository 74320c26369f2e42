import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { isUuid } from '#platform/graph/ids.ts'
import { groupBy } from '#platform/grouping.ts'
import type { Hints } from '#platform/live/hints.ts'
import type { Database } from '../database.ts'
import { storableJson, storableText } from './mailText.ts'

/** A notification as it comes over the graph. */
export type DeliverNotificationInput = {
  key: string
  tenantId: string
  userId: string
  type: string
  title: string
  message: string
  channel?: string | null
  priority?: string | null
  actionUrl?: string | null
  metadata?: unknown
  expiresAt?: Date | null
}

export type DeliverNotificationResult = {
  key: string
  status: 'delivered' | 'duplicate' | 'rejected'
  error: string | null
}

const MAX_NOTIFICATIONS = 1000

const text = (limit: number) => z.string().max(limit).transform(storableText)
const name = (limit: number) => text(limit).refine((value) => value !== '', 'is empty')
const oneOf = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  z.preprocess(
    (value) => (typeof value === 'string' ? value.toLowerCase() : (value ?? undefined)),
    z.enum(values).optional(),
  )

/** What is accepted; also how it is written. */
const notification = z.object({
  key: name(200),
  tenantId: z.string().refine(isUuid, 'is not a UUID'),
  userId: z.string().refine(isUuid, 'is not a UUID'),
  type: name(100),
  title: name(500),
  message: text(10_000),
  channel: oneOf('in_app', 'email', 'push').transform((value) => value ?? 'in_app'),
  priority: oneOf('low', 'normal', 'high', 'urgent').transform((value) => value ?? 'normal'),
  actionUrl: text(2000).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  expiresAt: z.coerce.date().nullish(),
})
type Accepted = z.output<typeof notification>

/**
 * Writes notifications of any tenants, each tenant's in one statement. Idempotent by (tenant, key); a bad item is
 * rejected alone.
 * @throws AppError LIMIT_REACHED for more than 1000
 */
export async function deliverNotifications(
  { db, hints }: { db: Database; hints: Pick<Hints, 'tell'> },
  inputs: readonly DeliverNotificationInput[],
): Promise<DeliverNotificationResult[]> {
  if (inputs.length > MAX_NOTIFICATIONS) {
    throw new AppError('LIMIT_REACHED', `notifications: at most ${MAX_NOTIFICATIONS} at once`)
  }
  const checked = inputs.map((input) => notification.safeParse(input))
  const accepted = checked.flatMap(({ data }) => (data ? [data] : []))
  const made = new Set<string>()
  for (const [tenantId, own] of groupBy(accepted, (item) => item.tenantId.toLowerCase())) {
    const keys = await runAsTenant(tenantId, () => insertNotifications(db, tenantId, own))
    for (const key of keys) made.add(`${tenantId}/${key}`)
    if (keys.length > 0) hints.tell(tenantId)
  }
  return checked.map(({ data, error }, index) => {
    const key = inputs[index]?.key ?? ''
    if (!data) return { key, status: 'rejected', error: describe(error) }
    // Of the same key twice in one call, the second is the duplicate.
    const isNew = made.delete(`${data.tenantId.toLowerCase()}/${data.key}`)
    return { key, status: isNew ? 'delivered' : 'duplicate', error: null }
  })
}

async function insertNotifications(db: Database, tenantId: string, items: readonly Accepted[]): Promise<string[]> {
  const first = new Set<string>()
  const rows = items
    .filter(({ key }) => !first.has(key) && first.add(key))
    .map((item) => ({
      id: uuidv7(),
      delivery_key: item.key,
      user_id: item.userId,
      type: item.type,
      title: item.title,
      message: item.message,
      channel: item.channel,
      priority: item.priority,
      action_url: item.actionUrl ?? null,
      metadata: item.metadata ?? {},
      expires_at: item.expiresAt ?? null,
    }))
  const result = await db.tenantSql.query<{ delivery_key: string }>(
    `INSERT INTO notifications (tenant_id, id, delivery_key, user_id, type, title, message, channel, priority, action_url,
       metadata, expires_at)
     SELECT $1, id, delivery_key, user_id, type, title, message, channel, priority, action_url, metadata, expires_at
     FROM jsonb_to_recordset($2::jsonb) AS n(id uuid, delivery_key text, user_id uuid, type text, title text,
       message text, channel text, priority text, action_url text, metadata jsonb, expires_at timestamptz)
     ORDER BY delivery_key
     ON CONFLICT (tenant_id, delivery_key) DO NOTHING
     RETURNING delivery_key`,
    [tenantId, storableJson(rows)],
  )
  return result.rows.map((row) => row.delivery_key)
}

function describe(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
}
