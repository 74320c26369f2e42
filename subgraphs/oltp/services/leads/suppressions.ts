import { v7 as uuidv7 } from 'uuid'
import type { AddSuppressionInput, SuppressionFilter } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import { findAnswer, makeRepeatable, rememberAnswer } from '#platform/database/idempotency.ts'
import { findPage } from '#platform/database/pages.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { filterId, readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import type { Database } from '../../database.ts'
import { changeAudited } from '../changes.ts'
import { filterPeriod, NEWEST_FIRST, type PageInput } from '../lists.ts'
import type { SuppressionRow } from '../rows.ts'
import { wakeCampaigns } from '../sending/agenda.ts'
import { giveBack, MAIL_PLACE, type MailPlace } from '../sending/failQueued.ts'
import { holdLeads } from '../sending/holdLeads.ts'
import { areLive } from '../tenantRows.ts'
import { filterText } from '../texts.ts'
import { readDomain, readEmail } from './leadInput.ts'

/** An address or a whole domain (lower case) that is not to be written to any more, and what brought it about. */
export type Suppressing = {
  email?: string | null
  domain?: string | null
  reason: 'unsubscribe' | 'bounce' | 'complaint' | 'manual'
  /** The workspace that doesn't write; null means the whole tenant. */
  companyId?: string | null
  sourceMessageId?: string | null
  /** When it happened, by the business clock. */
  at: Date
}

/** What suppressing did. Nothing of it is done twice. */
export type Suppressed = {
  /** Suppressions that were not there yet. */
  suppressionIds: string[]
  /** Leads that they are about. */
  leadIds: string[]
  /** Enrollments that ended. */
  stopped: number
  /** Mails that were queued and will not leave. */
  failed: number
}

const BY_EMAIL = `
  SELECT l.id, t.* FROM target t JOIN leads l ON l.tenant_id = $1 AND l.email = t.email AND l.deleted_at IS NULL`
const BY_DOMAIN = `
  SELECT l.id, t.* FROM target t
  JOIN leads l ON l.tenant_id = $1 AND split_part(l.email, '@', 2) = t.domain AND l.deleted_at IS NULL`

/** Whether a lead's enrollment or mail, of campaign `id`, is within what is suppressed. */
const isWithin = (campaignId: string) => `(lead."companyId" IS NULL OR EXISTS (
  SELECT FROM campaigns c WHERE c.tenant_id = $1 AND c.id = ${campaignId} AND c.company_id = lead."companyId"))`

// A lead that says no in two ways is told by the graver one. Rows are locked in the order of their ids by whoever may.
const suppressText = (leads: string) => `
  WITH target AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS t("suppressionId" uuid, email text, domain text, reason text,
      "companyId" uuid, "sourceMessageId" uuid, at timestamptz(3))
  ), added AS (
    INSERT INTO suppressions (tenant_id, id, email, domain, reason, scope, company_id, source_message_id, created_at)
    SELECT $1, "suppressionId", email, domain, reason, CASE WHEN "companyId" IS NULL THEN 'tenant' ELSE 'company' END,
           "companyId", "sourceMessageId", at
    FROM target ORDER BY email, domain
    ON CONFLICT DO NOTHING RETURNING id
  ), lead AS (
    SELECT DISTINCT ON (id, "companyId") id, "companyId", reason, at,
      CASE reason WHEN 'unsubscribe' THEN 'unsubscribed' WHEN 'bounce' THEN 'bounced'
                  WHEN 'complaint' THEN 'complained' ELSE 'suppressed' END AS word
    FROM (${leads}) AS found
    ORDER BY id, "companyId", array_position(ARRAY['complaint', 'unsubscribe', 'bounce', 'manual'], reason)
  ), marked AS (
    UPDATE leads l
    SET status = CASE lead.reason WHEN 'bounce' THEN CASE l.status WHEN 'unsubscribed' THEN l.status ELSE 'bounced' END
                                  ELSE 'unsubscribed' END,
        unsubscribed_at = CASE lead.reason WHEN 'bounce' THEN l.unsubscribed_at
                                           ELSE coalesce(l.unsubscribed_at, lead.at) END
    FROM lead WHERE l.tenant_id = $1 AND l.id = lead.id AND lead."companyId" IS NULL AND lead.reason <> 'manual'
  ), stopped AS (
    UPDATE campaign_enrollments e
    SET status = CASE lead.reason WHEN 'bounce' THEN 'bounced' WHEN 'manual' THEN 'stopped' ELSE 'unsubscribed' END,
        stop_reason = lead.word, ended_at = lead.at, next_run_at = NULL, version = e.version + 1
    FROM lead WHERE e.tenant_id = $1 AND e.lead_id = lead.id AND e.status = 'active' AND ${isWithin('e.campaign_id')}
    RETURNING e.id, e.campaign_id
  ), failed AS (
    UPDATE inbox_message_refs r
    SET status = 'failed', failed_at = lead.at, failure_reason = lead.word, version = r.version + 1
    FROM lead WHERE r.tenant_id = $1 AND r.lead_id = lead.id AND r.status = 'queued' AND ${isWithin('r.campaign_id')}
    RETURNING ${MAIL_PLACE}
  )
  SELECT (SELECT coalesce(array_agg(id), '{}') FROM added) AS "suppressionIds",
         (SELECT coalesce(array_agg(DISTINCT id), '{}') FROM lead) AS "leadIds",
         (SELECT coalesce(array_agg(DISTINCT campaign_id), '{}') FROM stopped) AS "campaignIds",
         (SELECT count(*)::int FROM stopped) AS stopped,
         (SELECT coalesce(jsonb_agg(failed), '[]') FROM failed) AS failed`

const SUPPRESS = { name: 'suppress', text: suppressText(BY_EMAIL) }
const SUPPRESS_WITH_DOMAINS = {
  name: 'suppress_with_domains',
  text: suppressText(`${BY_EMAIL} UNION ALL ${BY_DOMAIN}`),
}

const FIND = `
  SELECT id FROM suppressions
  WHERE tenant_id = $1 AND (email = $2 OR domain = $3) AND company_id IS NOT DISTINCT FROM $4::uuid`

/**
 * Has the tenant in scope never write to these again, in the caller's transaction and a fixed number of statements,
 * however many: suppressions are written, the leads' state says so, their enrollments end and their queued mail fails, told by
 * `unsubscribed`, `bounced`, `complained` or `suppressed`. Known ones change nothing, but end what has begun since.
 * What was promised for the mail is given back. Announcing it (an email event, an audit entry) is the caller's.
 * @param tx of `transact`
 */
export async function suppress(tx: Queryable, targets: readonly Suppressing[]): Promise<Suppressed> {
  if (targets.length === 0) return { suppressionIds: [], leadIds: [], stopped: 0, failed: 0 }
  const rows = targets.map((target) => ({ ...target, suppressionId: uuidv7() }))
  // Whom a domain stands for is found by looking through the tenant's leads: only when one is named.
  const statement = targets.some(({ domain }) => domain != null) ? SUPPRESS_WITH_DOMAINS : SUPPRESS
  await holdLeads(tx, {
    emails: targets.flatMap(({ email }) => email ?? []),
    domains: targets.flatMap(({ domain }) => domain ?? []),
  })
  type Failed = Omit<MailPlace, 'scheduledAt'> & { scheduledAt: string | null }
  type Done = Omit<Suppressed, 'failed'> & { failed: Failed[]; campaignIds: string[] }
  const result = await tx.query<Done>(statement, [currentTenant(), JSON.stringify(rows)])
  const [done] = result.rows
  if (!done) throw new Error('suppress answered nothing')
  await giveBack(
    tx,
    done.failed.map(({ scheduledAt, ...place }) => ({
      ...place,
      scheduledAt: scheduledAt ? new Date(scheduledAt) : null,
    })),
  )
  const { campaignIds, failed, ...suppressed } = done
  // Whose last lead has left has ended.
  wakeCampaigns(tx, campaignIds, now())
  return { ...suppressed, failed: failed.length }
}

/**
 * A page of whom the tenant must not write to, newest first.
 * @throws AppError INVALID_INPUT for a bad page or cursor
 */
export function findSuppressions(db: Database, { filter, ...page }: PageInput & { filter?: SuppressionFilter | null }) {
  const where = {
    email: filterText(filter?.email, 'email')?.trim().toLowerCase(),
    domain: filterText(filter?.domain, 'domain')?.trim().toLowerCase(),
    reason: filter?.reason ?? undefined,
    scope: filter?.scope ?? undefined,
    companyId: filterId(filter?.companyId),
    createdAt: filterPeriod(filter?.createdAt),
  }
  return findPage(db.tenant.suppression, { ...page, where, sort: NEWEST_FIRST })
}

/**
 * Has the tenant, or one of its companies, never write to an address or a domain again. One that is suppressed already
 * stays as it is.
 * @throws AppError INVALID_INPUT unless exactly one of the two is given; NOT_FOUND for an unknown company; CONFLICT for a
 *         key used with another input
 */
export async function addSuppression(context: Context, input: AddSuppressionInput): Promise<SuppressionRow> {
  if ((input.email == null) === (input.domain == null)) {
    throw new AppError('INVALID_INPUT', 'email: either this or domain is to be given')
  }
  const target = {
    email: input.email == null ? null : readEmail(input.email, 'email'),
    domain: input.domain == null ? null : readDomain(input.domain, 'domain'),
    companyId: input.companyId == null ? null : readId(input.companyId, 'companyId'),
  }
  const request = makeRepeatable(input.idempotencyKey, 'suppression.add', [JSON.stringify(target)])
  const { id } = await changeAudited(context, async (tx, record) => {
    const earlier = request && (await findAnswer<{ id: string }>(tx, request))
    if (earlier) return earlier
    if (target.companyId && !(await areLive(tx, 'companies', [target.companyId]))) {
      throw new AppError('NOT_FOUND', 'companyId: there is no such company')
    }
    const done = await suppress(tx, [{ ...target, reason: 'manual', at: now() }])
    const id = done.suppressionIds[0] ?? (await getSuppressionId(tx, target))
    if (request) await rememberAnswer(tx, request, { id })
    const { stopped, failed } = done
    await record({
      action: 'suppression.add',
      resourceType: 'Suppression',
      resourceId: id,
      newValues: { companyId: target.companyId, stoppedEnrollments: stopped, failedMails: failed },
    })
    return { id }
  })
  const suppression = await context.db.tenant.suppression.findFirst({ where: { id } })
  if (!suppression) throw new AppError('NOT_FOUND', 'the suppression is gone')
  return suppression
}

type Target = Required<Pick<Suppressing, 'email' | 'domain' | 'companyId'>>

async function getSuppressionId(tx: Queryable, { email, domain, companyId }: Target): Promise<string> {
  const { rows } = await tx.query<{ id: string }>(FIND, [currentTenant(), email, domain, companyId])
  if (!rows[0]) throw new AppError('CONFLICT', 'it is being suppressed right now')
  return rows[0].id
}
