import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { serverAudits } from 'graphql-http'
import { TIERS } from '#platform/contracts/tiers.ts'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'

let platform: TestPlatform
beforeAll(async () => {
  platform = await startPlatform()
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

/** Every check of the GraphQL over HTTP audit that a door does not pass, with what it missed. */
async function shortcomings(url: string, headers: Record<string, string>): Promise<string[]> {
  // Each request comes as ours do: with who is asking. Queries by GET say besides that no page sent them by itself.
  const fetchFn = (address: string, init: RequestInit = {}) =>
    fetch(address, { ...init, headers: { ...init.headers, 'apollo-require-preflight': 'true', ...headers } })
  const results = []
  for (const audit of serverAudits({ url, fetchFn })) results.push(await audit.fn())
  expect(results.length).toBeGreaterThan(50)
  return results.flatMap((result) =>
    result.status === 'ok' ? [] : [`${result.id} ${result.name}: ${result.status} ${result.reason}`],
  )
}

describe('GraphQL over HTTP, each check of its audit', () => {
  test.each(['lean', 'apollo'] as const)('holds for the gateway behind the %s face', async (face) => {
    await platform.stopGateway()
    await platform.startGateway({ GATEWAY_FACE: face })
    expect(await shortcomings(platform.url, { authorization: `Bearer ${await platform.token()}` })).toEqual([])
  })

  test.each(TIERS)('holds for the subgraph of %s', async (tier) => {
    expect(await shortcomings(platform.tierUrl(tier), platform.callerHeader(tier))).toEqual([])
  })
})
