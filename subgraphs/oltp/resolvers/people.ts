import type { CompanyResolvers, TeamMemberResolvers, TenantResolvers, UserResolvers } from '#graphql/oltp'
import { findSubscription, readRoles } from '../services/tenants.ts'

export const tenant: TenantResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.tenants.load(id),
  subscription: (_, _args, { db }) => findSubscription(db),
}

export const user: UserResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.users.load(id),
}

export const teamMember: TeamMemberResolvers = {
  user: ({ id }, _args, { loaders }) => loaders.users.load(id),
  roles: ({ roles }) => readRoles(roles),
}

export const company: CompanyResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.companies.load(id),
  domains: ({ id }, page, { loaders }) => loaders.domainsOfCompany.load({ ...page, parentId: id }),
  campaigns: ({ id }, page, { loaders }) => loaders.campaignsOfCompany.load({ ...page, parentId: id }),
}
