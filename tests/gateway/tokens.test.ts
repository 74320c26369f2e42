import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT, UnsecuredJWT } from 'jose'
import { makeDevToken } from '#platform/caller/developmentToken.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { DEMO, postGraphql, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant } from '../support/tenants.ts'

const VIEWER = '{ viewer { tenant { id } user { id } roles } }'

let platform: TestPlatform
beforeAll(async () => {
  platform = await startPlatform({ tiers: ['oltp'] })
  await foundTenant(platform.tierClient('oltp'), 'demo')
  await foundTenant(platform.tierClient('oltp'), 'rival')
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

describe('a good token', () => {
  test('speaks for its tenant and user, whoever else there is', async () => {
    for (const subject of [DEMO, RIVAL]) {
      const { status, data, errors } = await platform.ask(VIEWER, {}, subject)
      expect(errors).toBeUndefined()
      expect(status).toBe(200)
      expect(data.viewer).toEqual({ tenant: { id: subject.tenantId }, user: { id: subject.userId }, roles: ['OWNER'] })
    }
  })

  test('for a tenant that does not exist reads nothing, and is told so', async () => {
    const nobody = { ...DEMO, tenantId: '01930000-0000-7000-8000-00000000dead' }
    const { status, data, errors } = await platform.ask(`{ viewer { roles } campaigns { nodes { id } } }`, {}, nobody)
    expect({ status, data }).toEqual({ status: 200, data: { viewer: null, campaigns: { nodes: [] } } })
    expect(errors).toMatchObject([{ path: ['viewer'], extensions: { code: 'NOT_FOUND', tier: 'oltp' } }])
  })

  test('for a tenant that does not exist writes nothing', async () => {
    const nobody = { ...DEMO, tenantId: '01930000-0000-7000-8000-00000000dead' }
    const create = `mutation { createCampaign(input: {
      companyId: "01930000-0000-7000-8000-00000000dead", name: "Nobody's", idempotencyKey: "k" }) { campaign { id } } }`
    const { data, errors } = await platform.ask(create, {}, nobody)
    expect(data).toBeNull()
    expect(['NOT_FOUND', 'FORBIDDEN']).toContain(errors?.[0]?.extensions.code)
  })

  test('carries no staff role for a tenant', async () => {
    const { data } = await platform.ask(VIEWER, {}, { ...DEMO, roles: ['viewer', 'operator'] })
    expect(data.viewer.roles).toEqual(['VIEWER'])
    const { errors } = await platform.ask('{ vpsInstances { nodes { id } } }', {}, { ...DEMO, roles: ['operator'] })
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  })

  test('of staff reads what staff may, and no tenant', async () => {
    const staff = { kind: 'staff', tenantId: null, userId: null, roles: ['operator'] } as const
    const { data, errors } = await platform.ask('{ vpsInstances { nodes { id } } }', {}, staff)
    expect(errors).toBeUndefined()
    expect(data.vpsInstances.nodes).toEqual([])
    const tenantRead = await platform.ask('{ campaigns { nodes { id } } }', {}, staff)
    expect(tenantRead.data.campaigns).toBeNull()
    expect(tenantRead.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  })
})

describe('no answer but 401 UNAUTHENTICATED', () => {
  const refused = async (headers: Record<string, string>, query = '{ __typename }') => {
    const { status, data, errors, headers: answered } = await postGraphql(platform.url, { query }, headers)
    expect(status).toBe(401)
    expect(data).toBeUndefined()
    expect(errors).toHaveLength(1)
    expect(errors?.[0]?.extensions).toEqual({ code: 'UNAUTHENTICATED' })
    expect(answered.get('www-authenticate')).toBe('Bearer')
    return errors?.[0]?.message
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  test('without a token', async () => {
    expect(await refused({})).toBe('a bearer token is required')
    await refused({ authorization: 'Basic YTpi' })
    await refused({ authorization: 'Bearer' })
    await refused({}, '{ __schema { types { name } } }')
  })

  test('for what is no token', async () => {
    for (const token of ['x', 'a.b.c', `${'a'.repeat(5_000)}.b.c`]) await refused(bearer(token))
  })

  test('for an expired token', async () => {
    expect(await refused(bearer(await platform.token(DEMO, { ttlSeconds: -60 })))).toBe('the token has expired')
  })

  test('for another issuer or audience', async () => {
    await refused(bearer(await platform.token(DEMO, { issuer: 'someone-else' })))
    await refused(bearer(await platform.token(DEMO, { audience: 'another-service' })))
  })

  test('for a token signed with a key we do not know, also under the name of one we do', async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const stranger = await exportJWK(privateKey)
    await refused(bearer(await makeDevToken(stranger, DEMO)))
    await refused(bearer(await makeDevToken({ ...stranger, kid: 'development' }, DEMO)))
  })

  const claims = { tenant: DEMO.tenantId, roles: ['owner'] }
  const meta = { iss: 'penguinmails', aud: 'penguinmails-graph' }

  test('for a token without a signature (alg none)', async () => {
    await refused(bearer(new UnsecuredJWT({ ...claims, ...meta }).setExpirationTime('1h').encode()))
  })

  test('for a token that takes our public key for a shared secret', async () => {
    const publicKey = await importJWK(await platform.publicKey(), 'ES256', { extractable: true })
    const secret = new TextEncoder().encode(await exportSPKI(publicKey as Parameters<typeof exportSPKI>[0]))
    const forged = new SignJWT({ ...claims, ...meta }).setProtectedHeader({ alg: 'HS256', kid: 'development' })
    await refused(bearer(await forged.setExpirationTime('1h').sign(secret)))
  })

  test('for a token that brings its key along, or says where it is to be had; nobody is asked there', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid: 'development', alg: 'ES256' }
    let visits = 0
    const elsewhere = createServer((_request, response) => {
      visits += 1
      response.end(JSON.stringify({ keys: [jwk] }))
    })
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/keys`
    try {
      for (const injected of [
        { kid: 'development', jwk },
        { kid: 'development', jku: address },
        { kid: 'development', x5u: address },
        { kid: address, jku: address },
        { kid: '../../../../dev/null' },
        { kid: "development' OR '1'='1" },
        { kid: '__proto__' },
      ]) {
        const forged = new SignJWT({ ...claims, ...meta }).setProtectedHeader({ alg: 'ES256', ...injected })
        await refused(bearer(await forged.setExpirationTime('1h').sign(privateKey)))
      }
      expect(visits).toBe(0)
    } finally {
      elsewhere.close()
    }
  })

  test('for a token that never expires', async () => {
    await refused(bearer(await platform.sign({ ...claims, ...meta })))
  })

  test.each([
    ['no tenant', { tenant: undefined }],
    ['a tenant that is not an id', { tenant: "x' OR 1=1" }],
    ["the platform's own tenant", { tenant: PLATFORM_TENANT }],
    ['a user that is not an id', { sub: 'ada' }],
    ['a kind we do not know', { kind: 'service' }],
    ['staff with a tenant', { kind: 'staff' }],
    ['staff without a role of theirs', { kind: 'staff', tenant: undefined, roles: ['owner'] }],
    ['roles that are no list', { roles: 'owner' }],
  ])('for a signed token with %s', async (_what, wrong) => {
    const exp = Math.floor(Date.now() / 1000) + 3600
    await refused(bearer(await platform.sign({ ...claims, ...meta, exp, ...wrong })))
  })
})

test("a client's own caller header is ignored", async () => {
  const forged = platform.callerHeader('oltp', { ...RIVAL })
  const authorization = `Bearer ${await platform.token(DEMO)}`
  const { data } = await postGraphql(platform.url, { query: VIEWER }, { ...forged, authorization })
  expect(data.viewer.tenant.id).toBe(DEMO.tenantId)
  const alone = await postGraphql(platform.url, { query: VIEWER }, forged)
  expect(alone.status).toBe(401)
})

describe('keys at an address', () => {
  const withKeysFrom = async (answer: RequestListener, work: () => Promise<void>) => {
    const server = createServer(answer)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    await platform.stopGateway()
    await platform.startGateway({
      JWKS_FILE: '',
      JWKS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    })
    await work().finally(() => {
      server.closeAllConnections()
      server.close()
    })
  }
  afterAll(async () => {
    await platform.stopGateway()
    await platform.startGateway()
  })

  test('are fetched', async () => {
    const keys = JSON.stringify({ keys: [await platform.publicKey()] })
    const serve: RequestListener = (_, response) => response.end(keys)
    await withKeysFrom(serve, async () => {
      expect((await platform.ask(VIEWER)).data.viewer.roles).toEqual(['OWNER'])
      expect((await platform.ask(VIEWER, {}, { token: 'a.b.c' })).status).toBe(401)
    })
  })

  test.each<[string, RequestListener]>([
    ['that answers with an error', (_, response) => response.writeHead(503).end('down')],
    ['that answers something else', (_, response) => response.end('<html>')],
    ['that answers other JSON', (_, response) => response.end('{"keys":1}')],
    ['that hangs up', (request) => request.socket.destroy()],
  ])('%s: nobody can be checked, which is no fault of the token', async (_what, answer) => {
    await withKeysFrom(answer, async () => {
      const { status, errors } = await platform.ask(VIEWER)
      expect([status, errors?.[0]?.extensions.code]).toEqual([503, 'UNAVAILABLE'])
    })
  })
})
