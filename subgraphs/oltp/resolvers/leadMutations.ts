import type { MutationResolvers } from '#graphql/oltp'
import { createLead, deleteLead, unsubscribeLead, updateLead } from '../services/leads/leadChanges.ts'
import { addSuppression } from '../services/leads/suppressions.ts'
import { createTemplate, deleteTemplate, updateTemplate } from '../services/templates/templateChanges.ts'
import { asEditor } from './callers.ts'

/** Mutations of templates, leads and suppressions. */
export const leadMutations = {
  createTemplate: async (_, { input }, context) => ({ template: await createTemplate(asEditor(context), input) }),
  updateTemplate: async (_, { input }, context) => ({ template: await updateTemplate(asEditor(context), input) }),
  deleteTemplate: async (_, { input }, context) => ({ id: await deleteTemplate(asEditor(context), input) }),
  createLead: async (_, { input }, context) => ({ lead: await createLead(asEditor(context), input) }),
  updateLead: async (_, { input }, context) => ({ lead: await updateLead(asEditor(context), input) }),
  deleteLead: async (_, { input }, context) => ({ id: await deleteLead(asEditor(context), input) }),
  unsubscribeLead: async (_, { input }, context) => ({ lead: await unsubscribeLead(asEditor(context), input) }),
  addSuppression: async (_, { input }, context) => ({ suppression: await addSuppression(asEditor(context), input) }),
} satisfies MutationResolvers
