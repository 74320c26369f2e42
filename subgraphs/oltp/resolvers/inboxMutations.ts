import type { MutationResolvers } from '#graphql/oltp'
import { requireUser } from '#platform/caller/caller.ts'
import { reactivateEmailAccount } from '../services/brakes/brakeReview.ts'
import { recordPolledMails, recordPollFailure } from '../services/imap/polledMails.ts'
import {
  archiveConversation,
  markConversationsRead,
  markMessagesRead,
  starConversation,
} from '../services/inbox/conversationMarks.ts'
import { reply } from '../services/inbox/repliesSent.ts'
import { settleDelivered } from '../services/mailFlow/settleDelivered.ts'
import { asEditor, asService } from './callers.ts'

/** What people do with mail that came in, and what our own processes do to fetch it. */
export const inboxMutations = {
  reply: async (_, { input }, context) => ({ message: await reply(asEditor(context), input) }),
  markConversationsRead: async (_, { input }, context) => ({
    conversations: await markConversationsRead(asEditor(context), input),
  }),
  starConversation: async (_, { input }, context) => ({
    conversations: await starConversation(asEditor(context), input),
  }),
  archiveConversation: async (_, { input }, context) => ({
    conversations: await archiveConversation(asEditor(context), input),
  }),
  markMessagesRead: async (_, { input }, context) => ({ messages: await markMessagesRead(asEditor(context), input) }),
  reactivateEmailAccount: async (_, { input }, context) => {
    requireUser(context.caller, 'owner', 'admin')
    return { emailAccount: await reactivateEmailAccount(context, input) }
  },
  recordPolledMails: (_, { input }, context) => recordPolledMails(asService(context), input),
  recordPollFailure: (_, { input }, context) => recordPollFailure(asService(context), input),
  settleDelivered: (_, _args, context) => settleDelivered(asService(context)),
} satisfies MutationResolvers
