import { type DocumentNode, parse } from 'graphql'
import type { Tier } from '#platform/contracts/tiers.ts'

/** The part of each tier's schema that is asked for here, by the names the product has. */
const SUBGRAPHS: Record<Tier, string> = {
  oltp: `
    scalar DateTime
    scalar EmailAddress
    enum CampaignStatus { DRAFT SCHEDULED SENDING PAUSED COMPLETED CANCELLED }
    enum MessageDirection { INBOUND OUTBOUND }
    enum MessageType { EMAIL BOUNCE AUTO_REPLY }
    enum MessageStatus { QUEUED SENDING SENT DELIVERED OPENED REPLIED BOUNCED FAILED RECEIVED }

    type Query {
      campaign(id: ID!): Campaign
      campaigns(first: Int = 20): CampaignConnection
      message(id: ID!): InboxMessageRef
      messages(first: Int = 20, filter: MessageFilter): InboxMessageRefConnection
    }
    input MessageFilter { emailAccountId: ID direction: MessageDirection }
    type CampaignConnection { nodes: [Campaign!]! pageInfo: PageInfo! }
    type InboxMessageRefConnection { nodes: [InboxMessageRef!]! pageInfo: PageInfo! }

    type Campaign @key(fields: "id") {
      id: ID! name: String! description: String status: CampaignStatus! timezone: String
      company: Company startedAt: DateTime createdAt: DateTime!
    }
    type Company @key(fields: "id") { id: ID! name: String! }
    type Lead @key(fields: "id") { id: ID! name: String email: EmailAddress! }
    type EmailAccount @key(fields: "id") { id: ID! email: EmailAddress! displayName: String }
    type InboxMessageRef @key(fields: "id") {
      id: ID! direction: MessageDirection! messageType: MessageType! status: MessageStatus!
      fromEmail: String toEmail: String subject: String isRead: Boolean! hasAttachments: Boolean!
      sentAt: DateTime deliveredAt: DateTime createdAt: DateTime!
      campaign: Campaign lead: Lead emailAccount: EmailAccount content: ContentObject
    }
    type ContentObject @key(fields: "storageKey", resolvable: false) { storageKey: ID! }`,
  content: `
    scalar DateTime
    scalar JSON
    enum NotificationPriority { LOW NORMAL HIGH URGENT }

    type Query { notifications(first: Int = 20): NotificationConnection }
    type NotificationConnection { nodes: [Notification!]! pageInfo: PageInfo! }
    type Notification {
      id: ID! type: String! title: String! priority: NotificationPriority! isRead: Boolean! createdAt: DateTime!
    }

    type ContentObject @key(fields: "storageKey") {
      storageKey: ID! text: String html: String headers: JSON attachments: [Attachment!]!
    }
    type Attachment @key(fields: "id") { id: ID! filename: String! mimeType: String! sizeBytes: Int! }`,
  analytics: `
    scalar DateTime
    type Campaign @key(fields: "id") { id: ID! analytics: CampaignAnalytics }
    type CampaignAnalytics {
      sent: Int! delivered: Int! openedTracked: Int! clickedTracked: Int! replied: Int! bounced: Int!
      replyRate: Float! asOf: DateTime!
    }`,
  queue: `
    scalar DateTime
    enum JobStatus { QUEUED PROCESSING COMPLETED FAILED CANCELLED EXPIRED }

    type Query { jobs(first: Int = 20): JobConnection }
    type JobConnection { nodes: [Job!]! pageInfo: PageInfo! }
    type Job @key(fields: "id") {
      id: ID! queue: JobQueue! jobType: String! status: JobStatus! attemptCount: Int!
      queuedAt: DateTime! completedAt: DateTime
    }
    type JobQueue { name: ID! }`,
}

const LINK =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable"])\n' +
  'type PageInfo @shareable { hasNextPage: Boolean! }\n'

export function parseSubgraph(tier: Tier): DocumentNode {
  return parse(LINK + SUBGRAPHS[tier])
}
