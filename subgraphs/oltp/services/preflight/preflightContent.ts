import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { checkTemplate } from '../rendering/checkTemplate.ts'
import { type CompiledTemplate, compileTemplate } from '../rendering/compileTemplate.ts'
import { renderParts } from '../rendering/renderMail.ts'
import type { TemplateText } from '../rendering/templateText.ts'
import { type CompanyFacts, type LeadFacts, type SenderFacts, sampleScope } from '../rendering/variables.ts'
import type { PlannedStep } from '../sending/campaignFacts.ts'
import { isSuppressed } from '../sending/suppressed.ts'
import { blocker, type Finding, warning } from './preflightFindings.ts'

/** Leads whose mails are rendered as they will be; of the others it is checked that they have the fields needed. */
export const RENDERED_LEADS = 200

/** An email step's template, looked over. */
type StepContent = { step: PlannedStep; compiled: CompiledTemplate; requiredFields: string[]; hasLink: boolean }

export type LeadCounts = { leads: number; suppressed: number; incomplete: number }

const SELECT_LEADS = `
  FROM campaign_enrollments e JOIN leads l ON l.tenant_id = e.tenant_id AND l.id = e.lead_id AND l.deleted_at IS NULL
  WHERE e.tenant_id = $1 AND e.campaign_id = $2 AND e.status = 'active'`

const COUNT = `
  SELECT count(*)::int AS leads, count(*) FILTER (WHERE is_suppressed)::int AS suppressed,
    count(*) FILTER (WHERE NOT is_suppressed AND NOT custom ?& $4::text[])::int AS incomplete
  FROM (SELECT l.custom, ${isSuppressed('l', '$3::uuid')} AS is_suppressed ${SELECT_LEADS}) AS lead`

const SAMPLE = `
  SELECT l.id, l.email, l.name, l.company, l.title, l.custom ${SELECT_LEADS} AND NOT ${isSuppressed('l', '$3::uuid')}
  ORDER BY e.created_at DESC, e.id DESC LIMIT ${RENDERED_LEADS}`

const SAMPLE_URL = 'https://example.com/u/sample'

/** Looks over what the email steps send; what is wrong with a template is a finding. */
export function checkContents(steps: readonly PlannedStep[]): { contents: StepContent[]; findings: Finding[] } {
  const contents: StepContent[] = []
  const findings: Finding[] = []
  for (const step of steps) {
    if (!step.template) {
      findings.push(blocker('template_missing', `step ${step.stepOrder} has no template`))
      continue
    }
    try {
      const { customFields, hasUnsubscribeLink } = checkTemplate(step.template)
      const compiled = compileTemplate(step.template)
      const requiredFields = findRequiredFields(compiled, customFields)
      contents.push({ step, compiled, requiredFields, hasLink: hasUnsubscribeLink })
    } catch (error) {
      findings.push(blocker('template_broken', `step ${step.stepOrder}: ${problemOf(error)}`))
    }
  }
  const unlinked = contents.filter(({ hasLink }) => !hasLink).length
  if (unlinked > 0) {
    const message = 'a body without {{ unsubscribe_url }} gets a line with the link at its end'
    findings.push(warning('unsubscribe_link_added', message, unlinked))
  }
  return { contents, findings }
}

/** How many leads wait in the campaign, and for how many content can't be rendered as they lack a field it needs. */
export async function countLeads(
  sql: Queryable,
  campaign: { id: string; companyId: string },
  contents: readonly StepContent[],
): Promise<LeadCounts> {
  const fields = [...new Set(contents.flatMap(({ requiredFields }) => requiredFields))]
  const values = [currentTenant(), campaign.id, campaign.companyId, fields]
  const { rows } = await sql.query<LeadCounts>({ name: 'preflight_leads', text: COUNT }, values)
  return rows[0] ?? { leads: 0, suppressed: 0, incomplete: 0 }
}

/** Renders every step for the newest leads as it will be; answers for how many, and what went wrong first. */
export async function renderSample(
  sql: Queryable,
  campaign: { id: string; companyId: string },
  contents: readonly StepContent[],
  facts: { sender: SenderFacts; company: CompanyFacts },
): Promise<{ rendered: number; failed: number; problem: string | null }> {
  const values = [currentTenant(), campaign.id, campaign.companyId]
  const { rows } = await sql.query<LeadFacts & { id: string }>({ name: 'preflight_sample', text: SAMPLE }, values)
  let failed = 0
  let problem: string | null = null
  for (const lead of rows) {
    try {
      for (const { compiled } of contents) renderParts(compiled, { lead, ...facts }, SAMPLE_URL)
    } catch (error) {
      failed += 1
      problem ??= problemOf(error)
    }
  }
  return { rendered: rows.length, failed, problem }
}

/** Custom fields that a template can't do without: it fails when they are missing and nothing else is. */
function findRequiredFields(compiled: CompiledTemplate, customFields: readonly string[]): string[] {
  const renders = (fields: readonly string[]) => {
    try {
      return Boolean(compiled.render(sampleScope(fields)) satisfies TemplateText)
    } catch {
      return false
    }
  }
  // Where even all of them don't make it render, the sample of real leads tells.
  if (!renders(customFields)) return []
  return customFields.filter((field) => !renders(customFields.filter((other) => other !== field)))
}

function problemOf(error: unknown): string {
  if (error instanceof AppError) return error.message
  throw error
}
