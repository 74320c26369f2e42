import type {
  DomainIpAssignmentResolvers,
  DomainResolvers,
  EmailAccountResolvers,
  PlanSubscriptionResolvers,
  SmtpIpAddressResolvers,
  VpsInstanceResolvers,
} from '#graphql/oltp'
import { readMailServer } from '#platform/contracts/mailServers.ts'
import { AppError } from '#platform/errors.ts'
import { findSmtpIp, findVpsInstance } from '../services/infrastructure.ts'

export const domain: DomainResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.domains.load(id),
  company: ({ companyId }, _args, { loaders }) => loaders.companies.load(companyId),
  emailAccounts: ({ id }, page, { loaders }) => loaders.emailAccountsOfDomain.load({ ...page, parentId: id }),
  ipAssignments: ({ id }, page, { loaders }) => loaders.ipAssignmentsOfDomain.load({ ...page, parentId: id }),
}

export const emailAccount: EmailAccountResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.emailAccounts.load(id),
  domain: ({ domainId }, _args, { loaders }) => loaders.domains.load(domainId),
  smtp: ({ smtpSettings }) => readMailServer(smtpSettings),
  imap: ({ imapSettings }) => readMailServer(imapSettings),
  messages: ({ id }, page, { loaders }) => loaders.messagesOfEmailAccount.load({ ...page, parentId: id }),
}

export const domainIpAssignment: DomainIpAssignmentResolvers = {
  domain: ({ domainId }, _args, { loaders }) => loaders.domains.load(domainId),
  smtpIpAddress: ({ smtpIpAddressId }, _args, { loaders }) => loaders.smtpIps.load(smtpIpAddressId),
}

export const smtpIpAddress: SmtpIpAddressResolvers = {
  __resolveReference: ({ id }, context) => findSmtpIp(context, id),
  vpsInstance: ({ vpsInstanceId }, _args, context) => (vpsInstanceId ? findVpsInstance(context, vpsInstanceId) : null),
}

export const vpsInstance: VpsInstanceResolvers = {
  __resolveReference: ({ id }, context) => findVpsInstance(context, id),
  monthlyCost: ({ monthlyCost }) => monthlyCost?.toNumber() ?? null,
  smtpIpAddresses: ({ id }, _args, { loaders }) => loaders.staffAddressesOfServer.load(id),
}

export const subscription: PlanSubscriptionResolvers = {
  plan: async ({ planId }, _args, { loaders }) => {
    const plan = await loaders.plans.load(planId)
    if (!plan) throw new AppError('INTERNAL', `there is no plan ${planId}`)
    return plan
  },
  nextPlan: ({ nextPlanId }, _args, { loaders }) => (nextPlanId ? loaders.plans.load(nextPlanId) : null),
}
