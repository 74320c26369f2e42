import type { ProvisionTenantInput, ProvisionTenantPayload } from '#graphql/oltp'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Prisma } from '#prisma/oltp'
import type { Context } from '../context.ts'
import { isTimezone } from './mailFlow/localDay.ts'
import {
  campaignRows,
  companyRows,
  domainRows,
  emailAccountRows,
  enrollmentRows,
  ipAssignmentRows,
  leadRows,
  memberRows,
  smtpIpRows,
  stepRows,
  templateRows,
  userRows,
  vpsInstanceRows,
} from './provisionedRows.ts'

/** Longer than a request's usual: a demo tenant has thousands of rows. */
const TIMEOUT_MS = 60_000

/**
 * Founds a tenant with all that is given, in one transaction of the system role. A row whose id (or unique name) exists
 * stays as it is, so a repeat changes nothing.
 * @throws AppError INVALID_INPUT; CONFLICT when a name is another row's already, or an id points nowhere
 */
export async function provisionTenant(context: Context, input: ProvisionTenantInput): Promise<ProvisionTenantPayload> {
  const { name, slug, timezone = 'UTC' } = input.tenant
  const tenantId = readId(input.tenant.id, 'tenant.id')
  if (!isTimezone(timezone)) throw new AppError('INVALID_INPUT', 'tenant.timezone: is not a timezone')
  const created = await context.db.system
    .$transaction(
      async (tx) => {
        const founded = await tx.tenant.createMany({ data: [{ id: tenantId, name, slug, timezone }], ...SKIP })
        await writeTenantRows(tx, tenantId, input)
        return founded.count > 0
      },
      { timeout: TIMEOUT_MS },
    )
    .catch((error: unknown) => {
      throw explain(error)
    })
  context.log.info({ tenant: tenantId, created }, 'tenant provisioned')
  return { tenantId, created }
}

const SKIP = { skipDuplicates: true } as const

/** Parents before children. */
async function writeTenantRows(tx: Prisma.TransactionClient, tenantId: string, input: ProvisionTenantInput) {
  await tx.user.createMany({ data: userRows(input), ...SKIP })
  await tx.tenantUser.createMany({ data: memberRows(tenantId, input), ...SKIP })
  await tx.company.createMany({ data: companyRows(tenantId, input), ...SKIP })
  await tx.domain.createMany({ data: domainRows(tenantId, input), ...SKIP })
  await tx.emailAccount.createMany({ data: emailAccountRows(tenantId, input), ...SKIP })
  await tx.lead.createMany({ data: leadRows(tenantId, input), ...SKIP })
  await tx.template.createMany({ data: templateRows(tenantId, input), ...SKIP })
  await tx.campaign.createMany({ data: campaignRows(tenantId, input), ...SKIP })
  await tx.campaignSequenceStep.createMany({ data: stepRows(tenantId, input), ...SKIP })
  await tx.campaignEnrollment.createMany({ data: enrollmentRows(tenantId, input), ...SKIP })
  await tx.vpsInstance.createMany({ data: vpsInstanceRows(input), ...SKIP })
  await tx.smtpIpAddress.createMany({ data: smtpIpRows(input), ...SKIP })
  await tx.domainIpAssignment.createMany({ data: ipAssignmentRows(tenantId, input), ...SKIP })
  await writeSubscription(tx, tenantId, input)
}

async function writeSubscription(tx: Prisma.TransactionClient, tenantId: string, input: ProvisionTenantInput) {
  if (!input.subscription) return
  const { id, planCode, status, periodStartAt, periodEndAt } = input.subscription
  const plan = await tx.plan.findUnique({ where: { code: planCode } })
  if (!plan) throw new AppError('INVALID_INPUT', `subscription.planCode: there is no plan ${planCode}`)
  const data = [{ tenantId, id: readId(id, 'subscription.id'), planId: plan.id, status, periodStartAt, periodEndAt }]
  await tx.subscription.createMany({ data, ...SKIP })
}

/** Prisma's codes for a unique key taken, a foreign key that leads nowhere, and a check that fails. */
function explain(error: unknown): unknown {
  const code = (error as { code?: string } | null)?.code
  if (code === 'P2002') return new AppError('CONFLICT', 'a name or address is taken', { cause: error })
  if (code === 'P2003') return new AppError('CONFLICT', 'an id points to a row that is not there', { cause: error })
  if (code === 'P2004') return new AppError('INVALID_INPUT', 'a value is out of its bounds', { cause: error })
  return error
}
