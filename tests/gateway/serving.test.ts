import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseConfig } from '#platform/config.ts'
import { gatewayConfig } from '../../gateway/config.ts'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'

let platform: TestPlatform
beforeAll(async () => {
  platform = await startPlatform({ tiers: [] })
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

const page = (name: string, init?: RequestInit) => fetch(platform.url.replace('graphql', name), init)

test('health and metrics are there for anybody', async () => {
  for (const name of ['health/live', 'health/ready']) expect((await page(name)).status).toBe(200)
  const metrics = await page('metrics')
  expect(metrics.headers.get('content-type')).toContain('text/plain')
  expect(await metrics.text()).toContain('service="gateway"')
})

test('a path that is not there answers in GraphQL’s form', async () => {
  const response = await page('nothing')
  expect(response.status).toBe(404)
  expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] })
})

describe('the explorer', () => {
  const html = { headers: { accept: 'text/html' } }

  test('is a page for browsers, and answers no query there', async () => {
    for (const name of ['explorer', 'graphql', 'graphql?query={__typename}']) {
      const response = await page(name, html)
      expect([response.status, new URL(response.url).pathname]).toEqual([200, '/explorer'])
      expect(await response.text()).toContain('<div id="root">')
    }
  })

  test('loads nothing from elsewhere', async () => {
    const response = await page('explorer', html)
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'")
    const files = [...(await response.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => String(address))
    expect(files).toEqual(['/explorer/main.css', '/explorer/main.js'])
    for (const file of [
      ...files,
      '/explorer/graphql.worker.js',
      '/explorer/json.worker.js',
      '/explorer/editor.worker.js',
    ]) {
      const loaded = await page(file.slice(1))
      expect([loaded.status, (await loaded.arrayBuffer()).byteLength > 1_000]).toEqual([200, true])
    }
  })

  test('has the registered operations for examples', async () => {
    const { operations } = (await (await page('explorer/operations.json')).json()) as { operations: { name: string }[] }
    expect(operations.map(({ name }) => name)).toContain('CrossTierCampaigns')
  })

  test('can be switched off', async () => {
    await platform.stopGateway()
    await platform.startGateway({ EXPLORER: 'false' })
    expect((await page('graphql', html)).status).toBe(401)
    expect((await page('explorer', html)).status).toBe(404)
    await platform.stopGateway()
    await platform.startGateway()
  })
})

describe('pages of other origins', () => {
  const preflight = (origin: string) =>
    page('graphql', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })

  test('may ask in development', async () => {
    const asked = await preflight('http://localhost:5173')
    expect(asked.status).toBe(204)
    expect(asked.headers.get('access-control-allow-origin')).toBe('*')
    expect(asked.headers.get('access-control-allow-headers')).toContain('authorization')
    // Also the refusals: a page can only read what it is let.
    const refused = await page('graphql', { method: 'POST', headers: { origin: 'http://localhost:5173' } })
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, '*'])
  })

  test('may ask in production only if they are named', async () => {
    await platform.stopGateway()
    await platform.startGateway({ CORS_ORIGINS: 'https://app.example, https://admin.example' })
    const allowed = async (origin: string) => (await preflight(origin)).headers.get('access-control-allow-origin')
    expect(await allowed('https://admin.example')).toBe('https://admin.example')
    expect(await allowed('https://evil.example')).toBeNull()
  })
})

describe.each(['lean', 'apollo'])('behind the %s face', (face) => {
  const viewer = async (forwardedFor: string) => {
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${await platform.token()}`,
      'x-forwarded-for': forwardedFor,
    }
    return page('graphql', { method: 'POST', headers, body: JSON.stringify({ query: '{ __typename }' }) })
  }
  const statuses = async (...addresses: string[]) => {
    const found: number[] = []
    for (const address of addresses) found.push((await viewer(address)).status)
    return found
  }
  const restart = async (changes: Record<string, string>) => {
    await platform.stopGateway()
    await platform.startGateway({ GATEWAY_FACE: face, RATE_LIMIT_PER_ADDRESS: '2', ...changes })
  }

  test('a caller is told apart by what a trusted proxy says, and by nothing an untrusted one says', async () => {
    await restart({})
    expect(await statuses('192.0.2.1', '192.0.2.2', '192.0.2.3')).toEqual([200, 200, 429])
    await restart({ TRUSTED_PROXIES: 'loopback' })
    expect(await statuses('192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2')).toEqual([200, 200, 429, 200])
    // What the caller itself claims stands before what the proxy wrote.
    expect(await statuses('192.0.2.9, 192.0.2.1')).toEqual([429])
  })

  test('browsers are told to run nothing of an answer, to frame it nowhere, and to come by TLS', async () => {
    await restart({ RATE_LIMIT_PER_ADDRESS: '100' })
    for (const { headers } of [await viewer(''), await page('graphql', { method: 'POST' }), await page('nothing')]) {
      expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'")
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/)
      expect(headers.get('referrer-policy')).toBe('no-referrer')
    }
  })
})

test('a proxy to trust that is no address is named at the start', () => {
  const settings = { ...platform.settings.gateway, TRUSTED_PROXIES: '10.0.0.0/8, balancer' }
  expect(() => parseConfig(gatewayConfig, settings)).toThrow('TRUSTED_PROXIES: has what is no address or range')
})

test('settings that are missing or wrong are all named at once', () => {
  const { JWKS_FILE: _jwks, CALLER_KEY_GATEWAY_OLTP: _key, ...rest } = platform.settings.gateway
  const wrong = { ...rest, GATEWAY_PORT: 'http', QUEUE_URL: 'queue:4004', CALLER_KEY_GATEWAY_QUEUE: 'c2hvcnQ=' }
  const problems = (env: Record<string, string>) => {
    try {
      return parseConfig(gatewayConfig, env)
    } catch (error) {
      return String(error).split('\n').slice(1)
    }
  }
  expect(problems(wrong)).toEqual([
    expect.stringContaining('GATEWAY_PORT: '),
    '  CALLER_KEY_GATEWAY_OLTP: is not set',
    '  CALLER_KEY_GATEWAY_QUEUE: is not 32 bytes in base64',
    '  QUEUE_URL: is not an http(s) URL',
  ])
  expect(problems({ ...rest, CALLER_KEY_GATEWAY_OLTP: rest.CALLER_KEY_GATEWAY_CONTENT ?? '' })).toEqual([
    '  settings: set either JWKS_FILE or JWKS_URL',
  ])
})
