import { createServer, type Server } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { Report, type Trace } from '@apollo/usage-reporting-protobuf'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { parseConfig } from '#platform/config.ts'
import { gatewayConfig } from '../../gateway/config.ts'
import { findFreePort } from '../support/freePort.ts'
import { postGraphql, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant } from '../support/tenants.ts'

const KEY = 'service:penguinmails:a-key'

let platform: TestPlatform
let studio: Server
let studioUrl: string
const received: { url: string | undefined; key: unknown; bytes: Buffer }[] = []

beforeAll(async () => {
  platform = await startPlatform({ tiers: ['oltp', 'analytics'] })
  await foundTenant(platform.tierClient('oltp'), 'demo')
  await platform.stopGateway()
  // Who takes reports, as Apollo does: a POST of compressed protobuf.
  studio = createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { url, headers } = request
    received.push({ url, key: headers['x-api-key'], bytes: gunzipSync(Buffer.concat(chunks)) })
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"tracesIgnored":false}')
  })
  const port = await findFreePort()
  await new Promise<void>((resolve) => studio.listen(port, '127.0.0.1', resolve))
  studioUrl = `http://127.0.0.1:${port}`
}, START_TIMEOUT_MS)
afterAll(async () => {
  studio?.closeAllConnections()
  await new Promise((resolve) => studio?.close(resolve))
  await platform?.stop()
})
beforeEach(() => {
  received.length = 0
})

const reporting = () => ({
  GATEWAY_FACE: 'apollo',
  APOLLO_KEY: KEY,
  APOLLO_GRAPH_REF: 'penguinmails@test',
  APOLLO_USAGE_REPORTING_INGRESS_URL: studioUrl,
})

const QUERY = `query Overview($first: Int) {
  viewer { roles }
  campaigns(first: $first) { nodes { name analytics { sent } } }
}`

/** What one request is reported as. A gateway that stops sends what it has. */
async function reportOf(query: string, variables = {}): Promise<{ report: Report; traces: Trace[]; text: string }> {
  await platform.startGateway(reporting())
  const headers = {
    authorization: `Bearer ${await platform.token()}`,
    'apollographql-client-name': 'web',
    'apollographql-client-version': '7',
  }
  await postGraphql(platform.url, { query, variables }, headers)
  await platform.stopGateway()
  const [sent] = received
  if (!sent) throw new Error('nothing was reported')
  const report = Report.decode(sent.bytes)
  const traces = Object.values(report.tracesPerQuery).flatMap(({ trace = [] }) => trace as Trace[])
  return { report, traces, text: sent.bytes.toString('latin1') }
}

describe('with a key of Apollo Studio', () => {
  test('an operation is reported with the plan that was run and the resolvers of each tier', async () => {
    const { report, traces } = await reportOf(QUERY, { first: 3 })
    expect(received[0]).toMatchObject({ url: '/api/ingress/traces', key: KEY })
    expect(report.header?.graphRef).toBe('penguinmails@test')
    expect(Object.keys(report.tracesPerQuery)).toEqual([expect.stringMatching(/^# Overview\nquery Overview\(/)])
    const [trace] = traces
    expect(trace).toMatchObject({ clientName: 'web', clientVersion: '7' })
    expect(trace?.durationNs).toBeGreaterThan(0)
    const fetches = fetchesOf(trace?.queryPlan)
    const oltp = fetches.find(({ serviceName }) => serviceName === 'oltp')
    const fields = oltp?.trace?.root?.child?.map(({ responseName, parentType, type }) => [
      parentType,
      responseName,
      type,
    ])
    expect(fields).toContainEqual(['Query', 'campaigns', 'CampaignConnection'])
    for (const { endTime = 0, startTime = 0 } of oltp?.trace?.root?.child ?? []) {
      expect(Number(endTime)).toBeGreaterThanOrEqual(Number(startTime))
    }
    expect(Number(oltp?.sentTimeOffset)).toBeGreaterThan(0)
    expect(Number(oltp?.receivedTime?.seconds)).toBeGreaterThan(1_700_000_000)
  })

  test('entities of another tier stand below the place that they are fetched for', async () => {
    const { traces } = await reportOf(QUERY, { first: 3 })
    const [flatten] = flattensOf(traces[0]?.queryPlan)
    expect(flatten?.responsePath?.map(({ fieldName }) => fieldName)).toEqual(['campaigns', 'nodes', '@'])
    expect(flatten?.node?.fetch?.serviceName).toBe('analytics')
    expect(flatten?.node?.fetch?.trace?.root?.child?.map(({ responseName }) => responseName)).toEqual(['_entities'])
  })

  test('variables, headers and what an error says are not sent', async () => {
    const query = 'query Secret($id: ID!) { campaign(id: $id) { name } campaigns(first: 0) { totalCount } }'
    const { text, traces } = await reportOf(query, { id: 'a-secret-id' })
    expect(traces).toHaveLength(1)
    for (const secret of ['a-secret-id', 'Bearer', 'must be between']) expect(text).not.toContain(secret)
    expect(text).toContain('<masked>')
  })

  test('an operation of which a tier has failed is counted as one with errors', async () => {
    const { report } = await reportOf('query Down { queues { name } viewer { roles } }')
    const [{ statsWithContext: [stats] = [] } = {}] = Object.values<{ statsWithContext?: Stats[] }>(
      report.toJSON().tracesPerQuery,
    )
    expect(stats?.queryLatencyStats).toMatchObject({ requestCount: '1', requestsWithErrorsCount: '1' })
    expect(Object.keys(stats?.perTypeStat.Query?.perFieldStat ?? {})).toEqual(['viewer'])
  })
})

test('without one nothing is traced and nothing leaves', async () => {
  await platform.startGateway({ GATEWAY_FACE: 'apollo', APOLLO_USAGE_REPORTING_INGRESS_URL: studioUrl })
  const headers = { authorization: `Bearer ${await platform.token()}` }
  expect((await postGraphql(platform.url, { query: '{ viewer { roles } }' }, headers)).errors).toBeUndefined()
  await platform.stopGateway()
  expect(received).toEqual([])
})

test('a tier traces its resolvers only for who asks it to', async () => {
  const ask = async (headers: Record<string, string>) =>
    (
      await postGraphql(
        platform.tierUrl('oltp'),
        { query: '{ viewer { roles } }' },
        { ...platform.callerHeader('oltp'), ...headers },
      )
    ).extensions
  expect(await ask({})).toBeUndefined()
  expect(await ask({ 'apollo-federation-include-trace': 'ftv1' })).toEqual({ ftv1: expect.any(String) })
})

test.each([
  [{ APOLLO_KEY: KEY }, 'belong together'],
  [{ APOLLO_KEY: KEY, APOLLO_GRAPH_REF: 'a@b', GATEWAY_FACE: 'lean' }, 'set GATEWAY_FACE=apollo'],
])('settings that cannot work are told: %j', (settings, reason) => {
  expect(() => parseConfig(gatewayConfig, { ...platform.settings.gateway, ...settings })).toThrow(reason)
})

type Stats = { queryLatencyStats: object; perTypeStat: Record<string, { perFieldStat: object }> }
type PlanTrace = Trace.IQueryPlanNode | null | undefined

function flattensOf(node: PlanTrace): Trace.QueryPlanNode.IFlattenNode[] {
  if (!node) return []
  const below = [...(node.sequence?.nodes ?? []), ...(node.parallel?.nodes ?? [])]
  return [...(node.flatten ? [node.flatten] : []), ...below.flatMap(flattensOf)]
}

function fetchesOf(node: PlanTrace): Trace.QueryPlanNode.IFetchNode[] {
  if (!node) return []
  const below = [...(node.sequence?.nodes ?? []), ...(node.parallel?.nodes ?? []), node.flatten?.node]
  return [...(node.fetch ? [node.fetch] : []), ...below.flatMap(fetchesOf)]
}
