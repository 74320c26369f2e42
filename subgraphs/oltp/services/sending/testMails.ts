import { v7 as uuidv7 } from 'uuid'
import type { SendTestInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import { findAnswer, makeRepeatable, rememberAnswer } from '#platform/database/idempotency.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import { UNSUBSCRIBE_PATH } from '#platform/tracking/links.ts'
import type { Context } from '../../context.ts'
import { changeAudited } from '../changes.ts'
import { dedupKey, readRawMail } from '../mailFlow/rawMail.ts'
import { checkTemplate } from '../rendering/checkTemplate.ts'
import { compileTemplate } from '../rendering/compileTemplate.ts'
import { composeMail, messageIdOf } from '../rendering/composeMail.ts'
import { type MailFacts, renderParts } from '../rendering/renderMail.ts'
import type { TemplateText } from '../rendering/templateText.ts'
import { type LeadFacts, sampleScope } from '../rendering/variables.ts'
import type { MessageRow, UserRow } from '../rows.ts'
import { holdSender, requireActive, type Sender } from './holdSender.ts'
import { insertQueuedMails, mailDue, type QueuedMail } from './queuedMail.ts'

/** What is tested, and which mailbox it names. */
type Tested = { text: TemplateText; emailAccountId: string | null }

type TestSender = Sender & { id: string; email: string; displayName: string | null; companyName: string }

// The one named, else the oldest that can send.
const FIND_SENDER = `
  SELECT a.id, a.email, a.display_name AS "displayName", a.status, c.name AS "companyName",
    d.verification_status = 'verified' AS "isVerified"
  FROM email_accounts a
  JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id
  JOIN companies c ON c.tenant_id = d.tenant_id AND c.id = d.company_id
  WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND (a.id = $2 OR $2::uuid IS NULL AND a.status = 'active'
    AND d.verification_status = 'verified' AND d.deleted_at IS NULL)
  ORDER BY a.created_at, a.id LIMIT 1`

/**
 * Sends a template, or what a step sends, to the asker's own address, by the way that campaigns' mail goes. It belongs to no
 * campaign and no lead, and nothing in it is tracked. Repeating an `idempotencyKey` answers the first mail again.
 * @throws AppError NOT_FOUND for an unknown step, template, lead or mailbox; INVALID_INPUT unless a step or a template is
 *         named, and for what can't be rendered; CONFLICT for an address that is not verified, a mailbox that can't send, or
 *         a key used with another input; UNAVAILABLE when the content tier is away: nothing is written then
 */
export async function sendTest(context: Context, input: SendTestInput): Promise<MessageRow> {
  const { db, mailGroups, requestId, maxMessageBytes } = context
  const { idempotencyKey, ...rest } = input
  const request = makeRepeatable(idempotencyKey, 'sendTest', [JSON.stringify(rest)])
  const earlier = request && (await findAnswer<{ id: string }>(db.tenantSql, request))
  if (earlier) return loadTest(context, earlier.id)

  const user = await getVerifiedUser(context)
  const { text, emailAccountId } = await findTested(context, input)
  const named = input.emailAccountId == null ? emailAccountId : readId(input.emailAccountId, 'emailAccountId')
  const sender = await getSender(db.tenantSql, named)
  const { customFields } = checkTemplate(text)
  const lead = input.leadId == null ? sampleLead(user, customFields) : await getLeadFacts(context, input.leadId)
  const mail = renderTest(context, text, {
    lead,
    sender: { email: sender.email, name: sender.displayName },
    company: { name: sender.companyName },
  })
  const id = uuidv7()
  const at = now()
  const bytes = await composeMail({
    refId: id,
    from: { email: sender.email, name: sender.displayName },
    to: { email: user.email, name: user.name },
    mail,
    date: at,
  })
  const raw = readRawMail(bytes.toString('base64'), maxMessageBytes)
  const stored = await mailGroups.store(currentTenant(), { raw, requestId })
  const rfc822MessageId = messageIdOf(id, sender.email)
  const row: QueuedMail = {
    ...{ id, emailAccountId: sender.id, threadId: id, fromEmail: sender.email, toEmail: user.email },
    ...{ campaignId: null, stepId: null, leadId: null, enrollmentId: null, parentMessageId: null },
    ...{ smtpIpAddressId: null, subject: stored.subject, rfc822MessageId, createdAt: at, scheduledAt: at },
    dedupKey: dedupKey(rfc822MessageId, raw.hash),
    contentStorageKey: raw.storageKey,
  }
  const written = await changeAudited(context, async (tx, record) => {
    const known = request && (await rememberAnswer(tx, request, { id }))
    if (known) return known.id
    await holdSender(tx, sender.id)
    await insertQueuedMails(tx, [row])
    await appendOutbox(tx, [mailDue(row, requestId)])
    const newValues = { templateId: input.templateId ?? null, stepId: input.stepId ?? null, emailAccountId: sender.id }
    await record({ action: 'message.sendTest', resourceType: 'InboxMessageRef', resourceId: id, newValues })
    return id
  })
  return loadTest(context, written)
}

/** Test mails go to nobody else, and not to an address that may be somebody else's. */
async function getVerifiedUser({ caller, loaders }: Context): Promise<UserRow> {
  const user = caller.userId === null ? null : await loaders.users.load(caller.userId)
  if (!user) throw new AppError('CONFLICT', 'the token names no member of the tenant to send a test to')
  if (!user.emailVerifiedAt) throw new AppError('CONFLICT', 'your address is not verified')
  return user
}

async function findTested({ loaders }: Context, input: SendTestInput): Promise<Tested> {
  if ((input.stepId == null) === (input.templateId == null)) {
    throw new AppError('INVALID_INPUT', 'stepId: either this or templateId is to be given')
  }
  const step = input.stepId == null ? null : await loaders.steps.load(readId(input.stepId, 'stepId'))
  if (input.stepId != null && !step) throw new AppError('NOT_FOUND', 'stepId: there is no such step')
  const templateId = step ? step.templateId : readId(input.templateId as string, 'templateId')
  if (templateId === null) throw new AppError('INVALID_INPUT', 'stepId: the step sends nothing')
  const template = await loaders.templates.load(templateId)
  if (!template) throw new AppError('NOT_FOUND', 'templateId: there is no such template')
  const { subject, bodyText, bodyHtml } = template
  const text = { subject: step?.subjectOverride ?? subject, bodyText, bodyHtml }
  return { text, emailAccountId: step?.emailAccountId ?? null }
}

async function getSender(sql: Queryable, emailAccountId: string | null): Promise<TestSender> {
  const { rows } = await sql.query<TestSender>({ name: 'test_sender', text: FIND_SENDER }, [
    currentTenant(),
    emailAccountId,
  ])
  const [sender] = rows
  if (!sender && emailAccountId !== null) {
    throw new AppError('NOT_FOUND', 'emailAccountId: there is no such mailbox')
  }
  if (!sender) throw new AppError('CONFLICT', 'no mailbox can send')
  requireActive(sender)
  return sender
}

async function getLeadFacts({ loaders }: Context, leadId: string): Promise<LeadFacts> {
  const lead = await loaders.leads.load(readId(leadId, 'leadId'))
  if (!lead) throw new AppError('NOT_FOUND', 'leadId: there is no such lead')
  return lead
}

/** The asker in the place of a lead. */
function sampleLead({ email, name }: UserRow, customFields: readonly string[]): LeadFacts {
  return { ...sampleScope(customFields).lead, email, ...(name !== null && { name }) }
}

/** Its link to unsubscribe leads nowhere: the asker is on no list. */
function renderTest({ tracking }: Context, text: TemplateText, facts: MailFacts) {
  const mail = renderParts(compileTemplate(text), facts, `${tracking.publicUrl}${UNSUBSCRIBE_PATH}preview`)
  return { ...mail, subject: `[Test] ${mail.subject}` }
}

async function loadTest({ loaders }: Context, id: string): Promise<MessageRow> {
  const message = await loaders.messages.load(id)
  if (!message) throw new AppError('NOT_FOUND', 'the mail is gone')
  return message
}
