import type { MutationResolvers } from '#graphql/oltp'
import {
  archiveCampaign,
  createCampaign,
  duplicateCampaign,
  updateCampaign,
} from '../services/campaigns/campaignChanges.ts'
import { addCampaignLeads, removeCampaignLeads } from '../services/campaigns/campaignLeads.ts'
import {
  cancelCampaign,
  launchCampaign,
  pauseCampaign,
  resumeCampaign,
  scheduleCampaign,
} from '../services/campaigns/campaignLife.ts'
import {
  addCampaignStep,
  deleteCampaignStep,
  reorderCampaignSteps,
  updateCampaignStep,
} from '../services/campaigns/campaignStepChanges.ts'
import { sendTest } from '../services/sending/testMails.ts'
import { asEditor } from './callers.ts'

/** Mutations of campaigns, their steps and leads. */
export const campaignMutations = {
  createCampaign: async (_, { input }, context) => ({ campaign: await createCampaign(asEditor(context), input) }),
  updateCampaign: async (_, { input }, context) => ({ campaign: await updateCampaign(asEditor(context), input) }),
  duplicateCampaign: async (_, { input }, context) => ({ campaign: await duplicateCampaign(asEditor(context), input) }),
  archiveCampaign: async (_, { input }, context) => ({ campaign: await archiveCampaign(asEditor(context), input) }),
  scheduleCampaign: async (_, { input }, context) => ({ campaign: await scheduleCampaign(asEditor(context), input) }),
  launchCampaign: async (_, { input }, context) => ({ campaign: await launchCampaign(asEditor(context), input) }),
  pauseCampaign: async (_, { input }, context) => ({ campaign: await pauseCampaign(asEditor(context), input) }),
  resumeCampaign: async (_, { input }, context) => ({ campaign: await resumeCampaign(asEditor(context), input) }),
  cancelCampaign: async (_, { input }, context) => ({ campaign: await cancelCampaign(asEditor(context), input) }),
  addCampaignLeads: (_, { input }, context) => addCampaignLeads(asEditor(context), input),
  removeCampaignLeads: (_, { input }, context) => removeCampaignLeads(asEditor(context), input),
  sendTest: async (_, { input }, context) => ({ message: await sendTest(asEditor(context), input) }),
  addCampaignStep: async (_, { input }, context) => ({ step: await addCampaignStep(asEditor(context), input) }),
  updateCampaignStep: async (_, { input }, context) => ({ step: await updateCampaignStep(asEditor(context), input) }),
  reorderCampaignSteps: async (_, { input }, context) => ({
    campaign: await reorderCampaignSteps(asEditor(context), input),
  }),
  deleteCampaignStep: async (_, { input }, context) => ({
    campaign: await deleteCampaignStep(asEditor(context), input),
  }),
} satisfies MutationResolvers
