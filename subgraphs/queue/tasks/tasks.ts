import { deliverNotification } from './deliverNotification.ts'
import { exportLeads } from './exportLeads.ts'
import { importLeads } from './importLeads.ts'
import { planCampaign } from './planCampaign.ts'
import { planCampaigns } from './planCampaigns.ts'
import { pollMailboxes } from './pollMailboxes.ts'
import { projectCampaignMetrics } from './projectCampaignMetrics.ts'
import { recordAudit } from './recordAudit.ts'
import { recordTracking } from './recordTracking.ts'
import { refreshViews } from './refreshViews.ts'
import { replayDeadLetters } from './replayDeadLetters.ts'
import { reprioritizeJobs } from './reprioritizeJobs.ts'
import { resolveDeadLetters } from './resolveDeadLetters.ts'
import { retryJobs } from './retryJobs.ts'
import { rollUpEvents } from './rollUpEvents.ts'
import { sendMessage } from './sendMessage.ts'
import type { PlatformTask } from './services.ts'
import { settleDelivered } from './settleDelivered.ts'
import { settleStuckMail } from './settleStuckMail.ts'

/** Everything a worker can do, one file each. */
export const tasks: readonly PlatformTask[] = [
  rollUpEvents,
  projectCampaignMetrics,
  recordAudit,
  recordTracking,
  deliverNotification,
  planCampaign,
  planCampaigns,
  sendMessage,
  settleStuckMail,
  settleDelivered,
  pollMailboxes,
  importLeads,
  exportLeads,
  refreshViews,
  replayDeadLetters,
  resolveDeadLetters,
  retryJobs,
  reprioritizeJobs,
]
