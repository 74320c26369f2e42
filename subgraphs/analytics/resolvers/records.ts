import type { Resolvers } from '#graphql/analytics'
import { requireUser } from '#platform/caller/caller.ts'
import { isUuid } from '#platform/graph/ids.ts'
import { formatDay } from '../services/days.ts'
import { refer } from '../services/ids.ts'

/** Single rows: events, audit entries, archives. */
export const recordResolvers: Resolvers = {
  EmailEvent: {
    localDay: ({ localDay }) => formatDay(localDay),
    campaign: ({ campaignId }) => refer(campaignId),
    step: ({ stepId }) => refer(stepId),
    emailAccount: ({ emailAccountId }) => refer(emailAccountId),
    lead: ({ leadId }) => refer(leadId),
    message: ({ messageId }) => refer(messageId),
    domain: ({ domainId }) => refer(domainId),
  },
  AuditEntry: {
    __resolveReference: ({ id }: { id: string }, context) => {
      requireUser(context.caller, 'owner', 'admin')
      return isUuid(id) ? context.loaders.auditEntries.load({ id, args: null }) : null
    },
    id: ({ eventId }) => eventId,
    actor: ({ adminUserId }) => refer(adminUserId),
    actorId: ({ adminUserId }) => adminUserId,
    position: ({ id }) => id,
  },
  RecordAuditResult: { key: ({ eventId }) => eventId },
  AuditChain: { intact: ({ brokenAt }) => brokenAt === null },
  AnalyticsArchive: {
    rangeFrom: ({ rangeStartAt }) => rangeStartAt,
    rangeTo: ({ rangeEndAt }) => rangeEndAt,
    rows: ({ rowCount }) => rowCount,
  },
}
