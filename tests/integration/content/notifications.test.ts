import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { STAFF_INBOX } from '#platform/contracts/notification.ts'
import { type ContentTier, STAFF, serviceOf, startContentTier, userOf } from './contentTier.ts'

let tier: ContentTier
let demo: string
let rival: string
let ada: string

beforeAll(async () => {
  tier = await startContentTier()
})
afterAll(() => tier?.stop())
beforeEach(() => {
  demo = randomUUID()
  rival = randomUUID()
  ada = randomUUID()
})

const DELIVER = `mutation ($notifications: [DeliverNotificationInput!]!) {
  deliverNotifications(notifications: $notifications) { key status error } }`
const LIST = `query ($first: Int, $after: String, $filter: NotificationFilter) {
  notifications(first: $first, after: $after, filter: $filter) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { type title message channel priority isRead actionUrl metadata } } }`

const about = (title: string, more: object = {}) => ({
  key: title,
  tenantId: demo,
  userId: ada,
  type: 'campaign_completed',
  title,
  message: 'Done.',
  ...more,
})

async function deliver(...notifications: object[]) {
  const { data, errors } = await tier.ask(DELIVER, { notifications }, serviceOf(null))
  expect(errors).toBeUndefined()
  return data.deliverNotifications
}

async function titlesOf(userId: string, tenantId: string, variables: object = {}) {
  const { data } = await tier.ask(LIST, variables, userOf(tenantId, { userId }))
  return data.notifications.nodes.map(({ title }: { title: string }) => title)
}

describe('delivering', () => {
  test('tells the user, with what was said and what goes without saying', async () => {
    expect(await deliver(about('one', { priority: 'HIGH', metadata: { n: 1 }, actionUrl: '/campaigns/1' }))).toEqual([
      { key: 'one', status: 'DELIVERED', error: null },
    ])
    const { data } = await tier.ask(LIST, {}, userOf(demo, { userId: ada }))
    expect(data.notifications.nodes).toEqual([
      {
        type: 'campaign_completed',
        title: 'one',
        message: 'Done.',
        channel: 'IN_APP',
        priority: 'HIGH',
        isRead: false,
        actionUrl: '/campaigns/1',
        metadata: { n: 1 },
      },
    ])
  })

  test('reaches the staff’s one inbox, in which nothing of tenants is, as it is in none of theirs', async () => {
    await deliver(about('theirs'), about('ours', { ...STAFF_INBOX }))
    const { data, errors } = await tier.ask(LIST, {}, STAFF)
    expect(errors).toBeUndefined()
    expect(data.notifications).toMatchObject({ totalCount: 1, nodes: [{ title: 'ours' }] })
    expect(await titlesOf(ada, demo)).toEqual(['theirs'])
    expect(await titlesOf(STAFF_INBOX.userId, demo)).toEqual([])
    const { errors: refused } = await tier.ask(LIST, {}, { ...STAFF, roles: [] })
    expect(refused?.[0]?.extensions.code).toBe('FORBIDDEN')
  })

  test('the same key again changes nothing, also at the same time, also in one call', async () => {
    const twice = await deliver(about('x'), about('x', { message: 'other' }))
    expect(twice.map(({ status }: { status: string }) => status)).toEqual(['DELIVERED', 'DUPLICATE'])
    const many = (await Promise.all(Array.from({ length: 8 }, () => deliver(about('y'))))).flat()
    expect(many.filter(({ status }) => status === 'DELIVERED')).toHaveLength(1)
    expect(await titlesOf(ada, demo)).toHaveLength(2)
    expect(await tier.rows(demo, "SELECT message FROM notifications WHERE title = 'x'")).toEqual([{ message: 'Done.' }])
  })

  test('of several tenants in one call: each has its own, keys may be equal', async () => {
    const both = await deliver(about('same'), about('same', { tenantId: rival.toUpperCase() }))
    expect(both.map(({ status }: { status: string }) => status)).toEqual(['DELIVERED', 'DELIVERED'])
    for (const tenant of [demo, rival]) expect(await titlesOf(ada, tenant)).toEqual(['same'])
  })

  test('a bad one is rejected alone, and told why', async () => {
    const answers = await deliver(
      about('good'),
      about('bad user', { userId: 'ada' }),
      about('bad tenant', { tenantId: 'x' }),
      about('bad channel', { channel: 'pigeon' }),
      about('no type', { type: '' }),
      about('long', { message: 'x'.repeat(10_001) }),
    )
    expect(answers.map(({ status }: { status: string }) => status)).toEqual(['DELIVERED', ...Array(5).fill('REJECTED')])
    expect(answers[1].error).toBe('userId: is not a UUID')
    expect(await titlesOf(ada, demo)).toEqual(['good'])
  })

  test('takes null characters and halves of pairs, wherever they stand', async () => {
    const metadata = { text: 'a\0b', list: ['\ud800', { deep: '\0' }], 'ke\0y': 1 }
    expect(await deliver(about('nu\0ll', { message: '\udc00', metadata }))).toMatchObject([{ status: 'DELIVERED' }])
  })

  test('is for services, and of a thousand at most', async () => {
    for (const caller of [userOf(demo), STAFF]) {
      const { errors } = await tier.ask(DELIVER, { notifications: [] }, caller)
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
    const notifications = Array.from({ length: 1001 }, (_, index) => about(`${index}`))
    const { errors } = await tier.ask(DELIVER, { notifications }, serviceOf(null))
    expect(errors?.[0]?.extensions.code).toBe('LIMIT_REACHED')
  })
})

describe('a user', () => {
  test('sees own notifications only: neither those of a colleague nor those of a namesake elsewhere', async () => {
    await deliver(about('mine'), about('colleague', { userId: randomUUID() }), about('elsewhere', { tenantId: rival }))
    expect(await titlesOf(ada, demo)).toEqual(['mine'])
    expect(await titlesOf(randomUUID(), rival)).toEqual([])
  })

  test('pages through them, newest first', async () => {
    for (const title of ['1', '2', '3', '4', '5']) await deliver(about(title))
    const seen: string[] = []
    let after: string | null = null
    do {
      const { data } = await tier.ask(LIST, { first: 2, after }, userOf(demo, { userId: ada }))
      expect(data.notifications.totalCount).toBe(5)
      seen.push(...data.notifications.nodes.map(({ title }: { title: string }) => title))
      after = data.notifications.pageInfo.hasNextPage ? data.notifications.pageInfo.endCursor : null
    } while (after)
    expect(seen).toEqual(['5', '4', '3', '2', '1'])
  })

  test.each([[0], [101], [-1], [1e9]])('cannot ask for %d at once', async (first) => {
    const { errors } = await tier.ask(LIST, { first }, userOf(demo, { userId: ada }))
    expect(errors?.[0]?.extensions.code).toBe('INVALID_INPUT')
  })

  test('does not see what was removed or is over; read ones by filter', async () => {
    const past = new Date(Date.now() - 1000).toISOString()
    await deliver(about('unread'), about('read'), about('removed'), about('over', { expiresAt: past }))
    await tier.rows(demo, "UPDATE notifications SET is_read = true, read_at = now() WHERE title = 'read'")
    await tier.rows(demo, "UPDATE notifications SET deleted_at = now() WHERE title = 'removed'")
    expect((await titlesOf(ada, demo)).sort()).toEqual(['read', 'unread'])
    expect(await titlesOf(ada, demo, { filter: { unread: true } })).toEqual(['unread'])
    expect(await titlesOf(ada, demo, { filter: { unread: false } })).toEqual(['read'])
  })

  test('as an entity of the graph has notifications and a count, for the user alone', async () => {
    await deliver(about('one'), about('two'))
    const query = `query ($refs: [_Any!]!) { _entities(representations: $refs) {
      ... on User { id unreadCount notifications(first: 1) { totalCount nodes { title } } } } }`
    const refs = [{ __typename: 'User', id: ada }]
    const own = { id: ada, unreadCount: 2, notifications: { totalCount: 2, nodes: [{ title: 'two' }] } }
    expect(await tier.ask(query, { refs }, userOf(demo, { userId: ada }))).toEqual({ data: { _entities: [own] } })
    const nothing = { data: { _entities: [{ id: ada, unreadCount: null, notifications: null }] } }
    for (const caller of [userOf(demo), userOf(rival), STAFF]) {
      expect(await tier.ask(query, { refs }, caller)).toEqual(nothing)
    }
    const elsewhere = await tier.ask(query, { refs }, userOf(rival, { userId: ada }))
    expect(elsewhere.data._entities).toMatchObject([{ unreadCount: 0 }])
  })

  test('has preferences; a token that names no user has none, and no notifications', async () => {
    const preference = { notificationType: 'campaign_completed', channel: 'email', isEnabled: false }
    const row = { ...preference, tenantId: demo, userId: ada, id: randomUUID() }
    await tier.db.system.notificationPreference.create({ data: row })
    const query = '{ notificationPreferences { notificationType channel isEnabled } }'
    expect(await tier.ask(query, {}, userOf(demo, { userId: ada }))).toEqual({
      data: { notificationPreferences: [{ ...preference, channel: 'EMAIL' }] },
    })
    expect(await tier.ask(query, {}, userOf(rival, { userId: ada }))).toEqual({ data: { notificationPreferences: [] } })
    const nameless = { ...userOf(demo), userId: null }
    for (const asked of [query, '{ notifications { totalCount } }']) {
      expect((await tier.ask(asked, {}, nameless)).errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    }
  })
})

describe('marking as read', () => {
  const IDS = '{ notifications(first: 100) { nodes { id title isRead readAt } } }'
  const MARK = `mutation ($ids: [ID!]!) { markNotificationsRead(input: { ids: $ids }) {
    notifications { id isRead readAt } unreadCount } }`
  const ALL = `mutation ($before: DateTime) { markAllNotificationsRead(input: { before: $before }) { marked unreadCount } }`
  const asAda = () => userOf(demo, { userId: ada, roles: ['viewer'] })
  const listed = async () => (await tier.ask(IDS, {}, asAda())).data.notifications.nodes
  const unread = async () => (await listed()).filter(({ isRead }: { isRead: boolean }) => !isRead).length

  test('is done once, and the first time stands', async () => {
    await deliver(about('One'), about('Two'), about('Three'))
    const ids = (await listed()).slice(0, 2).map(({ id }: { id: string }) => id)
    const first = (await tier.ask(MARK, { ids: [...ids, ids[0]] }, asAda())).data.markNotificationsRead
    expect(first).toMatchObject({ unreadCount: 1, notifications: [{ id: ids[0], isRead: true }, { id: ids[1] }] })
    expect((await tier.ask(MARK, { ids }, asAda())).data.markNotificationsRead).toEqual(first)
  })

  test('all is all of the caller’s, or what came before', async () => {
    await deliver(about('One'), about('Two'), about('Theirs', { userId: randomUUID() }))
    const early = await tier.ask(ALL, { before: '2020-01-01T00:00:00Z' }, asAda())
    expect(early.data.markAllNotificationsRead).toEqual({ marked: 0, unreadCount: 2 })
    expect((await tier.ask(ALL, {}, asAda())).data.markAllNotificationsRead).toEqual({ marked: 2, unreadCount: 0 })
    expect((await tier.ask(ALL, {}, asAda())).data.markAllNotificationsRead).toEqual({ marked: 0, unreadCount: 0 })
  })

  test('another user’s, another tenant’s, an unknown or no id, and too many change nothing', async () => {
    await deliver(about('One'), about('Two'))
    const ids = (await listed()).map(({ id }: { id: string }) => id)
    const code = async (some: string[], as = asAda()) =>
      (await tier.ask(MARK, { ids: some }, as)).errors?.[0]?.extensions.code
    expect(await code(ids, userOf(demo, { userId: randomUUID() }))).toBe('NOT_FOUND')
    expect(await code(ids, userOf(rival, { userId: ada }))).toBe('NOT_FOUND')
    expect(await code([...ids, randomUUID()])).toBe('NOT_FOUND')
    expect(await code([])).toBe('INVALID_INPUT')
    expect(await code(['x'])).toBe('INVALID_INPUT')
    expect(await code(Array.from({ length: 101 }, () => randomUUID()))).toBe('LIMIT_REACHED')
    expect(await code(ids, serviceOf(demo))).toBe('FORBIDDEN')
    expect(await unread()).toBe(2)
  })

  test('staff mark what is in the inbox that they share', async () => {
    await deliver(about('Disk full', { tenantId: STAFF_INBOX.tenantId, userId: STAFF_INBOX.userId, key: randomUUID() }))
    const told = (await tier.ask(ALL, {}, STAFF)).data.markAllNotificationsRead
    expect(told.marked).toBeGreaterThanOrEqual(1)
    expect(told.unreadCount).toBe(0)
  })
})
