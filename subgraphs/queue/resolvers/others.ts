import type {
  CampaignResolvers,
  DomainResolvers,
  InboxMessageRefResolvers,
  SmtpIpAddressResolvers,
  TenantResolvers,
  TransactionalEmailResolvers,
  VpsInstanceResolvers,
} from '#graphql/queue'
import { findJobsOfTenant } from '../services/jobs.ts'

// A reference from another tier proves nothing: what is found for it is the caller's own, or nothing.

export const tenant: TenantResolvers = {
  jobs: ({ id }, args, context) => findJobsOfTenant(context, id, args),
}

export const campaign: CampaignResolvers = {
  jobs: ({ id }, { first, after }, { loaders }) => loaders.jobsOfCampaign.load({ parentId: id, first, after }),
  sendProgress: ({ id }, _args, { loaders }) => loaders.sendProgress.load(id),
}

export const inboxMessageRef: InboxMessageRefResolvers = {
  jobs: ({ id }, { first, after }, { loaders }) => loaders.jobsOfMessage.load({ parentId: id, first, after }),
}

export const transactionalEmail: TransactionalEmailResolvers = {
  job: async ({ id }, _args, { loaders }) => {
    const { nodes } = await loaders.jobsOfTransactionalEmail.load({ parentId: id, first: 1 })
    return nodes[0] ?? null
  },
}

export const domain: DomainResolvers = {
  monitoring: ({ id }, { first, after }, { loaders }) => loaders.checksOfDomain.load({ parentId: id, first, after }),
}

export const smtpIpAddress: SmtpIpAddressResolvers = {
  monitoring: ({ id }, { first, after }, { loaders }) => loaders.checksOfSmtpIp.load({ parentId: id, first, after }),
}

export const vpsInstance: VpsInstanceResolvers = {
  monitoring: ({ id }, { first, after }, { loaders }) =>
    loaders.checksOfVpsInstance.load({ parentId: id, first, after }),
}
