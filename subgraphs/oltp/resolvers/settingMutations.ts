import type { MutationResolvers } from '#graphql/oltp'
import { updateCompany } from '../services/companyChanges.ts'
import { createDomain, deleteDomain, updateDomain, verifyDomain } from '../services/domains/domainChanges.ts'
import {
  createEmailAccount,
  deleteEmailAccount,
  updateEmailAccount,
} from '../services/mailboxes/emailAccountChanges.ts'
import { pauseEmailAccount, pauseWarmup, setDailyLimit, startWarmup } from '../services/mailboxes/emailAccountWarmup.ts'
import { asManager } from './callers.ts'

/** Mutations of companies, domains and mailboxes. */
export const settingMutations = {
  updateCompany: async (_, { input }, context) => ({ company: await updateCompany(asManager(context), input) }),
  createDomain: async (_, { input }, context) => ({ domain: await createDomain(asManager(context), input) }),
  updateDomain: async (_, { input }, context) => ({ domain: await updateDomain(asManager(context), input) }),
  verifyDomain: async (_, { input }, context) => ({ domain: await verifyDomain(asManager(context), input) }),
  deleteDomain: async (_, { input }, context) => ({ id: await deleteDomain(asManager(context), input) }),
  createEmailAccount: async (_, { input }, context) => ({
    emailAccount: await createEmailAccount(asManager(context), input),
  }),
  updateEmailAccount: async (_, { input }, context) => ({
    emailAccount: await updateEmailAccount(asManager(context), input),
  }),
  deleteEmailAccount: async (_, { input }, context) => ({ id: await deleteEmailAccount(asManager(context), input) }),
  pauseEmailAccount: async (_, { input }, context) => ({
    emailAccount: await pauseEmailAccount(asManager(context), input),
  }),
  setDailyLimit: async (_, { input }, context) => ({ emailAccount: await setDailyLimit(asManager(context), input) }),
  startWarmup: async (_, { input }, context) => ({ emailAccount: await startWarmup(asManager(context), input) }),
  pauseWarmup: async (_, { input }, context) => ({ emailAccount: await pauseWarmup(asManager(context), input) }),
} satisfies MutationResolvers
