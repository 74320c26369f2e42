import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CALLER_HEADER, requireStaff, signCaller, verifyCaller } from '#platform/caller/caller.ts'
import { TIERS } from '#platform/contracts/tiers.ts'
import { AppError } from '#platform/errors.ts'
import { DEMO, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'

describe('a subgraph asked directly', () => {
  let platform: TestPlatform
  beforeAll(async () => {
    platform = await startPlatform()
  }, START_TIMEOUT_MS)
  afterAll(() => platform?.stop())

  const QUERIES = {
    'a field': '{ __typename }',
    'its schema for federation': '{ _service { sdl } }',
    'its entities': '{ _entities(representations: [{ __typename: "Campaign", id: "1" }]) { __typename } }',
    introspection: '{ __schema { queryType { name } } }',
    'no GraphQL at all': '{',
  }

  test.each(TIERS)('%s answers 401 to anything without a caller header', async (tier) => {
    for (const query of Object.values(QUERIES)) {
      const { status, data, errors } = await platform.askTier(tier, query)
      expect({ status, data, codes: errors?.map((error) => error.extensions) }).toEqual({
        status: 401,
        data: undefined,
        codes: [{ code: 'UNAUTHENTICATED' }],
      })
    }
    const byGet = await fetch(`${platform.tierUrl(tier)}?query={__typename}`, {
      headers: { accept: 'application/json' },
    })
    expect(byGet.status).toBe(401)
  })

  test.each(TIERS)('%s refuses headers that are malformed, forged, foreign or old', async (tier) => {
    const other = TIERS[(TIERS.indexOf(tier) + 1) % TIERS.length] ?? 'oltp'
    const [name, genuine] = Object.entries(platform.callerHeader(tier))[0] ?? ['', '']
    const [body = '', seal = ''] = genuine.split('.')
    const tampered = Buffer.from(Buffer.from(body, 'base64url').toString().replace('"owner"', '"admin"')).toString(
      'base64url',
    )
    const edge = { from: 'gateway', to: tier, key: platform.key('gateway', tier) }
    const old = signCaller({ ...DEMO, requestId: 'r' }, edge, Date.now() - 40_000)
    const headers: Record<string, string>[] = [
      { [name]: 'x' },
      { [name]: `${body}.` },
      { [name]: `${body}.${seal}.${seal}` },
      { [name]: `${tampered}.${seal}` },
      { [name]: `${Buffer.from('{}').toString('base64url')}.${seal}` },
      { [name]: old },
      { authorization: `Bearer ${await platform.token()}` },
      platform.callerHeader(tier, {}, randomBytes(32)),
      platform.callerHeader(tier, { from: 'nobody' }, randomBytes(32)),
      // What the gateway signs for one tier is worth nothing at another.
      platform.callerHeader(other),
      platform.callerHeader(tier, {}, platform.key('gateway', other)),
    ]
    for (const header of headers) {
      const { status, errors } = await platform.askTier(tier, '{ _service { sdl } }', header)
      expect([status, errors?.[0]?.extensions.code]).toEqual([401, 'UNAUTHENTICATED'])
    }
    expect((await platform.askTier(tier, '{ _service { sdl } }', { [name]: genuine })).status).toBe(200)
  })

  test.each(TIERS)('%s stays alive and tells its health to anybody', async (tier) => {
    const base = platform.tierUrl(tier).replace('/graphql', '')
    for (const page of ['/health/live', '/health/ready', '/metrics'])
      expect((await fetch(base + page)).status).toBe(200)
    expect(await (await fetch(`${base}/metrics`)).text()).toContain('http_request_duration_seconds')
  })
})

describe('a caller header', () => {
  const edge = { from: 'gateway', to: 'oltp', key: randomBytes(32) } as const
  const keys = new Map([['gateway', edge.key]])
  const caller = { ...DEMO, requestId: 'r1' }
  const now = Date.UTC(2026, 0, 1)
  const code = (work: () => unknown) => {
    try {
      work()
      return null
    } catch (error) {
      return error instanceof AppError ? error.code : error
    }
  }

  test('arrives as it was signed', () => {
    expect(verifyCaller(signCaller(caller, edge, now), keys, 'oltp', now)).toEqual({ ...caller, from: 'gateway' })
  })

  test('lives 30 seconds, with 5 of tolerance on either side', () => {
    const header = signCaller(caller, edge, now)
    expect(code(() => verifyCaller(header, keys, 'oltp', now + 34_000))).toBeNull()
    expect(code(() => verifyCaller(header, keys, 'oltp', now + 36_000))).toBe('UNAUTHENTICATED')
    expect(code(() => verifyCaller(header, keys, 'oltp', now - 4_000))).toBeNull()
    expect(code(() => verifyCaller(header, keys, 'oltp', now - 6_000))).toBe('UNAUTHENTICATED')
  })

  test('of a user always names a tenant, of staff never', () => {
    const user = signCaller({ ...caller, tenantId: null }, edge, now)
    const staff = signCaller({ ...caller, kind: 'staff' }, edge, now)
    for (const header of [user, staff])
      expect(code(() => verifyCaller(header, keys, 'oltp', now))).toBe('UNAUTHENTICATED')
  })

  test('of staff opens nothing without a role of staff', () => {
    const staff = (...roles: string[]) => ({
      ...caller,
      from: 'gateway',
      kind: 'staff' as const,
      tenantId: null,
      roles,
    })
    for (const role of ['support', 'operator']) expect(code(() => requireStaff(staff(role)))).toBeNull()
    for (const wrong of [staff(), staff('owner')]) expect(code(() => requireStaff(wrong))).toBe('FORBIDDEN')
    expect(code(() => requireStaff(staff('support'), 'operator'))).toBe('FORBIDDEN')
  })

  test('is never read from garbage', () => {
    for (const header of [undefined, '', '.', '..', 'a', 'a.b', `${'='.repeat(100)}.x`, `${CALLER_HEADER}: a.b`]) {
      expect(code(() => verifyCaller(header, keys, 'oltp', now))).toBe('UNAUTHENTICATED')
    }
  })
})
