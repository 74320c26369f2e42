import type { LeadExportResolvers, LeadImportResolvers, MutationResolvers, QueryResolvers } from '#graphql/oltp'
import { beginExport, findExportedLeads, finishExport } from '../services/leadFiles/exportLife.ts'
import { exportLeads, findExport, findExports } from '../services/leadFiles/exportRequests.ts'
import { readProblem } from '../services/leadFiles/fileProblem.ts'
import { importRows } from '../services/leadFiles/importBatches.ts'
import { beginImport, finishImport } from '../services/leadFiles/importLife.ts'
import { findImport, findImports } from '../services/leadFiles/importLists.ts'
import { cancelImport, importLeads } from '../services/leadFiles/importRequests.ts'
import type { ColumnMapping } from '../services/leadFiles/leadColumns.ts'
import { asEditor, asManager, asService, asUser, isManager } from './callers.ts'

/** Queries of leads that come and go as files. */
export const leadFileQueries = {
  importJob: (_, { id }, context) => findImport(asUser(context).db, id),
  leadImports: (_, args, context) => findImports(asUser(context).db, args),
  exportJob: (_, { id }, context) => findExport(asManager(context).db, id),
  leadExports: (_, args, context) => findExports(asManager(context).db, args),
  exportedLeads: (_, args, context) => findExportedLeads(asService(context), args),
} satisfies QueryResolvers

/** Mutations of leads that come and go as files. */
export const leadFileMutations = {
  importLeads: async (_, { input }, context) => ({ leadImport: await importLeads(asEditor(context), input) }),
  cancelImport: async (_, { input }, context) => ({ leadImport: await cancelImport(asEditor(context), input) }),
  exportLeads: async (_, { input }, context) => ({ leadExport: await exportLeads(asManager(context), input) }),
  beginLeadImport: async (_, { input }, context) => ({
    leadImport: await beginImport(asService(context), input.importId),
  }),
  importLeadRows: (_, { input }, context) => importRows(asService(context), input),
  finishLeadImport: async (_, { input }, context) => ({ leadImport: await finishImport(asService(context), input) }),
  beginLeadExport: (_, { input }, context) => beginExport(asService(context), input.exportId),
  finishLeadExport: (_, { input }, context) => finishExport(asService(context), input),
} satisfies MutationResolvers

export const leadImport: LeadImportResolvers = {
  __resolveReference: ({ id }, { loaders }) => loaders.leadImports.load(id),
  campaign: ({ campaignId }, _args, { loaders }) => (campaignId ? loaders.campaigns.load(campaignId) : null),
  columnMapping: ({ columnMapping }) =>
    Object.entries(columnMapping as ColumnMapping).map(([column, { field, name }]) => {
      return { column, field, customName: name ?? null }
    }),
  problem: ({ lastError }) => readProblem(lastError),
  errors: (leadImport, page, { loaders }) => loaders.errorsOfImport.load({ ...page, leadImport }),
}

export const leadExport: LeadExportResolvers = {
  // A job's subject may be one: to who may not see exports it is none.
  __resolveReference: ({ id }, context) => (isManager(context) ? context.loaders.leadExports.load(id) : null),
  file: ({ contentStorageKey }) => (contentStorageKey ? { storageKey: contentStorageKey } : null),
  problem: ({ lastError }) => readProblem(lastError),
}
