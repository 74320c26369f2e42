/** The rows behind this tier's GraphQL types; mappers.json says which stands behind which. */
import type { LeadImportErrorCode } from '#graphql/oltp'
import type { LeadImportError, SmtpIpAddress } from '#prisma/oltp'

export type {
  Campaign as CampaignRow,
  CampaignEnrollment as EnrollmentRow,
  CampaignMetric as MetricsRow,
  CampaignSequenceStep as StepRow,
  Company as CompanyRow,
  Conversation as ConversationRow,
  Domain as DomainRow,
  DomainIpAssignment as IpAssignmentRow,
  EmailAccount as EmailAccountRow,
  InboxMessageRef as MessageRow,
  Lead as LeadRow,
  LeadExport as LeadExportRow,
  LeadImport as LeadImportRow,
  Plan as PlanRow,
  Subscription as SubscriptionRow,
  Suppression as SuppressionRow,
  Template as TemplateRow,
  Tenant as TenantRow,
  TenantUser as TeamMemberRow,
  User as UserRow,
  VpsInstance as VpsInstanceRow,
} from '#prisma/oltp'

/** A row of a file that could not be taken. */
export type LeadImportErrorRow = Pick<LeadImportError, 'leadImportId' | 'rowNumber' | 'message' | 'rowText'> & {
  code: LeadImportErrorCode
}

/** The columns of an address that a tenant may read. */
export const TENANT_IP_COLUMNS = {
  id: true,
  ipAddress: true,
  pool: true,
  status: true,
  reputationState: true,
  warmupStartedAt: true,
  dailySafeLimit: true,
  createdAt: true,
} as const

/** An address as a tenant sees it; the other columns are there for staff alone. */
export type SmtpIpRow = Pick<SmtpIpAddress, keyof typeof TENANT_IP_COLUMNS> &
  Partial<Pick<SmtpIpAddress, 'blocklists' | 'lastReputationCheckAt' | 'vpsInstanceId'>>
