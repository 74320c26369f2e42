import type { ProvisionTenantInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Prisma } from '#prisma/oltp'

// What the input says of each table, as rows. Ids are checked; addresses become lower case.

type Json = Prisma.InputJsonValue

export function userRows({ users = [] }: ProvisionTenantInput): Prisma.UserCreateManyInput[] {
  return users.map(({ roles: _, ...user }) => ({
    ...user,
    id: readId(user.id, 'users.id'),
    email: user.email.toLowerCase(),
  }))
}

export function memberRows(tenantId: string, { users = [] }: ProvisionTenantInput): Prisma.TenantUserCreateManyInput[] {
  return users.map(({ id, email, roles }) => ({
    tenantId,
    id: readId(id, 'users.id'),
    email: email.toLowerCase(),
    roles,
  }))
}

export function companyRows(
  tenantId: string,
  { companies = [] }: ProvisionTenantInput,
): Prisma.CompanyCreateManyInput[] {
  return companies.map((company) => ({ ...company, tenantId, id: readId(company.id, 'companies.id') }))
}

export function domainRows(tenantId: string, { domains = [] }: ProvisionTenantInput): Prisma.DomainCreateManyInput[] {
  return domains.map(({ dnsRecords, ...domain }) => ({
    ...domain,
    tenantId,
    id: readId(domain.id, 'domains.id'),
    companyId: readId(domain.companyId, 'domains.companyId'),
    domain: domain.domain.toLowerCase(),
    dnsRecords: (dnsRecords ?? {}) as Json,
    verifiedAt: domain.verificationStatus === 'verified' ? now() : null,
  }))
}

export function emailAccountRows(
  tenantId: string,
  { emailAccounts = [] }: ProvisionTenantInput,
): Prisma.EmailAccountCreateManyInput[] {
  return emailAccounts.map(({ smtpSettings, imapSettings, createdAt, ...account }) => ({
    ...account,
    tenantId,
    id: readId(account.id, 'emailAccounts.id'),
    domainId: readId(account.domainId, 'emailAccounts.domainId'),
    email: account.email.toLowerCase(),
    smtpSettings: (smtpSettings ?? {}) as Json,
    imapSettings: (imapSettings ?? {}) as Json,
    createdAt: createdAt ?? undefined,
  }))
}

export function leadRows(tenantId: string, { leads = [] }: ProvisionTenantInput): Prisma.LeadCreateManyInput[] {
  return leads.map(({ custom, createdAt, ...lead }) => ({
    ...lead,
    tenantId,
    id: readId(lead.id, 'leads.id'),
    email: lead.email.toLowerCase(),
    custom: (custom ?? {}) as Json,
    createdAt: createdAt ?? undefined,
  }))
}

export function templateRows(
  tenantId: string,
  { templates = [] }: ProvisionTenantInput,
): Prisma.TemplateCreateManyInput[] {
  return templates.map((template) => ({ ...template, tenantId, id: readId(template.id, 'templates.id') }))
}

export function campaignRows(
  tenantId: string,
  { campaigns = [] }: ProvisionTenantInput,
): Prisma.CampaignCreateManyInput[] {
  return campaigns.map(({ steps: _, enrollments: __, sendingWindow, createdAt, ...campaign }) => ({
    ...campaign,
    tenantId,
    id: readId(campaign.id, 'campaigns.id'),
    companyId: readId(campaign.companyId, 'campaigns.companyId'),
    sendingWindow: (sendingWindow ?? undefined) as Json | undefined,
    createdAt: createdAt ?? undefined,
  }))
}

export function stepRows(
  tenantId: string,
  { campaigns = [] }: ProvisionTenantInput,
): Prisma.CampaignSequenceStepCreateManyInput[] {
  return campaigns.flatMap(({ id: campaignId, steps = [] }) =>
    steps.map((step) => ({
      ...step,
      tenantId,
      id: readId(step.id, 'steps.id'),
      campaignId: readId(campaignId, 'campaigns.id'),
      templateId: step.templateId == null ? null : readId(step.templateId, 'steps.templateId'),
      emailAccountId: step.emailAccountId == null ? null : readId(step.emailAccountId, 'steps.emailAccountId'),
    })),
  )
}

export function enrollmentRows(
  tenantId: string,
  { campaigns = [] }: ProvisionTenantInput,
): Prisma.CampaignEnrollmentCreateManyInput[] {
  return campaigns.flatMap(({ id: campaignId, enrollments = [] }) =>
    enrollments.map((enrollment) => ({
      ...enrollment,
      tenantId,
      id: readId(enrollment.id, 'enrollments.id'),
      campaignId: readId(campaignId, 'campaigns.id'),
      leadId: readId(enrollment.leadId, 'enrollments.leadId'),
    })),
  )
}

export function vpsInstanceRows({ vpsInstances = [] }: ProvisionTenantInput): Prisma.VpsInstanceCreateManyInput[] {
  return vpsInstances.map((server) => ({ ...server, id: readId(server.id, 'vpsInstances.id') }))
}

export function smtpIpRows({ smtpIpAddresses = [] }: ProvisionTenantInput): Prisma.SmtpIpAddressCreateManyInput[] {
  return smtpIpAddresses.map((address) => ({
    ...address,
    id: readId(address.id, 'smtpIpAddresses.id'),
    vpsInstanceId: readId(address.vpsInstanceId, 'smtpIpAddresses.vpsInstanceId'),
  }))
}

export function ipAssignmentRows(
  tenantId: string,
  { domainIpAssignments = [] }: ProvisionTenantInput,
): Prisma.DomainIpAssignmentCreateManyInput[] {
  return domainIpAssignments.map(({ warmupState, assignedAt, ...assignment }) => ({
    ...assignment,
    tenantId,
    id: readId(assignment.id, 'domainIpAssignments.id'),
    domainId: readId(assignment.domainId, 'domainIpAssignments.domainId'),
    smtpIpAddressId: readId(assignment.smtpIpAddressId, 'domainIpAssignments.smtpIpAddressId'),
    warmupState: (warmupState ?? {}) as Json,
    assignedAt: assignedAt ?? undefined,
  }))
}
