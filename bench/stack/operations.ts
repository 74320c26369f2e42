import type { Chosen } from './data.ts'

/** What a client asks of either stack; variables differ from request to request where the operation has any. */
export type Operation = {
  name: string
  query: string
  variables: (n: number) => Record<string, unknown>
}

/** The same questions as in `operations/`, each cut down to what a page of the product shows first. */
export function makeOperations({ campaignIds, mailboxIds, messageIds }: Chosen): Operation[] {
  const oneOf = (ids: readonly string[], n: number) => ids[n % ids.length]
  return [
    {
      name: 'one campaign by its id (oltp)',
      query:
        'query Campaign($id: ID!) { campaign(id: $id) { id name description status timezone startedAt createdAt } }',
      variables: (n) => ({ id: oneOf(campaignIds, n) }),
    },
    {
      name: 'twenty campaigns with their figures (oltp, analytics)',
      query: `query Campaigns {
        campaigns(first: 20) {
          nodes {
            id name status createdAt
            company { id name }
            analytics { sent delivered openedTracked clickedTracked replied bounced replyRate asOf }
          }
          pageInfo { hasNextPage }
        }
      }`,
      variables: () => ({}),
    },
    {
      name: 'twenty messages of a mailbox with their text (oltp, content)',
      query: `query Inbox($filter: MessageFilter) {
        messages(first: 20, filter: $filter) {
          nodes {
            id direction messageType status fromEmail toEmail subject isRead hasAttachments createdAt
            emailAccount { id email displayName }
            lead { id name }
            content { text }
          }
          pageInfo { hasNextPage }
        }
      }`,
      variables: (n) => ({ filter: { emailAccountId: oneOf(mailboxIds, n) } }),
    },
    {
      name: 'one message with its content and attachments (oltp, content)',
      query: `query Message($id: ID!) {
        message(id: $id) {
          id direction status fromEmail toEmail subject sentAt deliveredAt createdAt
          campaign { id name }
          lead { id name email }
          emailAccount { id email }
          content { text html headers attachments { id filename mimeType sizeBytes } }
        }
      }`,
      variables: (n) => ({ id: oneOf(messageIds, n) }),
    },
    {
      name: 'dashboard: campaigns, figures, replies, notifications, jobs (all four)',
      query: `query Dashboard {
        campaigns(first: 5) {
          nodes { id name status analytics { sent delivered openedTracked replied bounced asOf } }
        }
        messages(first: 5, filter: { direction: INBOUND }) {
          nodes { id fromEmail subject createdAt lead { id name } content { text } }
        }
        notifications(first: 10) { nodes { id type title priority isRead createdAt } }
        jobs(first: 10) { nodes { id jobType status attemptCount queuedAt completedAt queue { name } } }
      }`,
      variables: () => ({}),
    },
  ]
}
