import type { PreviewTemplateInput, TemplatePreview } from '#graphql/oltp'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { UNSUBSCRIBE_PATH } from '#platform/tracking/links.ts'
import type { Context } from '../../context.ts'
import { checkTemplate } from './checkTemplate.ts'
import { compileTemplate } from './compileTemplate.ts'
import { renderParts } from './renderMail.ts'
import type { TemplateText } from './templateText.ts'
import type { CompanyFacts, SenderFacts } from './variables.ts'

// The mailbox asked for, else the oldest one, active ones first.
const FIND_SENDER = `
  SELECT a.email, a.display_name AS name, c.name AS "companyName"
  FROM email_accounts a
  JOIN domains d ON d.tenant_id = a.tenant_id AND d.id = a.domain_id
  JOIN companies c ON c.tenant_id = d.tenant_id AND c.id = d.company_id
  WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ($2::uuid IS NULL OR a.id = $2)
  ORDER BY a.status <> 'active', a.created_at, a.id LIMIT 1`

/**
 * What one lead would get from one mailbox: filled in, but without tracking, and with a link to unsubscribe that leads
 * nowhere. A template of the tenant's, with another subject if one is given, or texts that are not saved yet.
 * @throws AppError NOT_FOUND for an unknown template, lead or mailbox; INVALID_INPUT naming part, line and variable
 */
export async function previewTemplate(context: Context, input: PreviewTemplateInput): Promise<TemplatePreview> {
  const { loaders, db, tracking } = context
  const [lead, text, { sender, company }] = await Promise.all([
    loaders.leads.load(readId(input.leadId, 'leadId')),
    findText(context, input),
    getSender(db.tenantSql, input.emailAccountId == null ? null : readId(input.emailAccountId, 'emailAccountId')),
  ])
  if (!lead) throw new AppError('NOT_FOUND', 'leadId: there is no such lead')
  checkTemplate(text)
  const leaveUrl = `${tracking.publicUrl}${UNSUBSCRIBE_PATH}preview`
  return renderParts(compileTemplate(text), { lead, sender, company }, leaveUrl)
}

async function findText({ loaders }: Context, input: PreviewTemplateInput): Promise<TemplateText> {
  const { templateId, subject, bodyText = null, bodyHtml = null } = input
  if (templateId == null) {
    if (subject == null) throw new AppError('INVALID_INPUT', 'subject: is needed where no template is named')
    return { subject, bodyText, bodyHtml }
  }
  if (bodyText !== null || bodyHtml !== null) {
    throw new AppError('INVALID_INPUT', 'templateId: either a template or bodies, not both')
  }
  const template = await loaders.templates.load(readId(templateId, 'templateId'))
  if (!template) throw new AppError('NOT_FOUND', 'templateId: there is no such template')
  return { subject: subject ?? template.subject, bodyText: template.bodyText, bodyHtml: template.bodyHtml }
}

async function getSender(
  sql: Queryable,
  emailAccountId: string | null,
): Promise<{ sender: SenderFacts; company: CompanyFacts }> {
  type Row = SenderFacts & { companyName: string }
  const { rows } = await sql.query<Row>({ name: 'preview_sender', text: FIND_SENDER }, [
    currentTenant(),
    emailAccountId,
  ])
  const [found] = rows
  if (!found) {
    throw new AppError(
      'NOT_FOUND',
      emailAccountId ? 'emailAccountId: there is no such mailbox' : 'the tenant has no mailbox',
    )
  }
  return { sender: { email: found.email, name: found.name }, company: { name: found.companyName } }
}
