import type { Variable } from 'liquidjs'

/** What a template may say of the person it goes to; `custom` holds the tenant's own fields. */
export type LeadFacts = {
  email: string
  name: string | null
  company: string | null
  title: string | null
  custom: unknown
}

/** Whose mailbox it leaves from, and the workspace it is written for. */
export type SenderFacts = { email: string; name: string | null }
export type CompanyFacts = { name: string }

/** Names that exist, besides `lead.custom.*`. */
const VARIABLES: ReadonlySet<string> = new Set([
  'lead.name',
  'lead.email',
  'lead.company',
  'lead.title',
  'sender.name',
  'sender.email',
  'company.name',
  'unsubscribe_url',
])

/** Groups that may be looked into by a computed name: `lead[field]`; what isn't there is found when it is rendered. */
const GROUPS: ReadonlySet<string> = new Set(['lead', 'lead.custom', 'sender', 'company'])

/** The name of a variable as a template writes it, up to the first computed part. */
export function variableName({ segments }: Variable): string {
  const computed = segments.findIndex((segment) => typeof segment === 'object')
  return segments.slice(0, computed < 0 ? undefined : computed).join('.')
}

/** Whether a template may use it. */
export function isKnownVariable(variable: Variable): boolean {
  const name = variableName(variable)
  if (VARIABLES.has(name) || GROUPS.has(name) || name.startsWith('lead.custom.')) return true
  // Texts and lists know their own length.
  return /\.(size|first|last)$/.test(name) && VARIABLES.has(name.slice(0, name.lastIndexOf('.')))
}

/** What one mail's template is rendered with. Fields of a lead that are missing are null, so that `default` works. */
export function templateScope({ lead, sender, company, unsubscribeUrl }: ScopeParts) {
  const { email, name, company: employer, title, custom } = lead
  return {
    lead: { email, name, company: employer, title, custom: isFields(custom) ? custom : {} },
    sender: { name: sender.name, email: sender.email },
    company: { name: company.name },
    unsubscribe_url: unsubscribeUrl,
  }
}

type ScopeParts = { lead: LeadFacts; sender: SenderFacts; company: CompanyFacts; unsubscribeUrl: string }

/** A scope in which every field that a template may name is filled in, `customFields` with a sample text. */
export function sampleScope(customFields: readonly string[]) {
  return templateScope({
    lead: {
      email: 'lead@example.com',
      name: 'Robin Example',
      company: 'Example Ltd',
      title: 'Director',
      custom: Object.fromEntries(customFields.map((field) => [field, 'sample'])),
    },
    sender: { email: 'sender@example.com', name: 'Sam Sender' },
    company: { name: 'Company' },
    unsubscribeUrl: 'https://example.com/u/sample',
  })
}

function isFields(custom: unknown): custom is Record<string, unknown> {
  return typeof custom === 'object' && custom !== null && !Array.isArray(custom)
}
