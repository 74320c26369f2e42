import type { MutationResolvers, QueryResolvers } from '#graphql/oltp'
import { requireService } from '#platform/caller/caller.ts'
import type { Context } from '../context.ts'
import { openAcceptWindows } from '../services/sending/acceptWindow.ts'
import { beginSending } from '../services/sending/begin.ts'
import { findSendDecision } from '../services/sending/decision.ts'
import { announceDuePlans } from '../services/sending/duePlans.ts'
import { finishSending } from '../services/sending/finish.ts'
import { planCampaignSends } from '../services/sending/plan.ts'
import { settleStuck } from '../services/sending/settleStuck.ts'
import { asUser } from './callers.ts'

/** The request's context once a worker is known to ask. */
function asWorker(context: Context): Context {
  requireService(context.caller, 'worker', 'cli')
  return context
}

export const sendingQueries: Pick<QueryResolvers, 'sendDecision'> = {
  sendDecision: (_, args, context) => findSendDecision(asUser(context), args),
}

export const sendingMutations: Pick<
  MutationResolvers,
  'planCampaignSends' | 'announceDuePlans' | 'beginSending' | 'openAcceptWindows' | 'finishSending' | 'settleStuckMail'
> = {
  planCampaignSends: (_, { input }, context) => planCampaignSends(asWorker(context), input),
  announceDuePlans: (_, _args, context) => announceDuePlans(asWorker(context)),
  beginSending: (_, { input }, context) => beginSending(asWorker(context), input.mails),
  openAcceptWindows: (_, { input }, context) => openAcceptWindows(asWorker(context), input.attempts),
  finishSending: (_, { input }, context) => finishSending(asWorker(context), input.mails),
  settleStuckMail: (_, { olderThanMs }, context) => settleStuck(asWorker(context), olderThanMs ?? undefined),
}
