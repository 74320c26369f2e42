import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { parseConfig } from '#platform/config.ts'
import { buildGateway } from '../../../gateway/app.ts'
import { gatewayConfig } from '../../../gateway/config.ts'
import { eventually } from '../../support/eventually.ts'
import { postGraphql, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { foundTenant } from '../../support/tenants.ts'

const SUPERGRAPH = new URL('../../../gateway/supergraph.graphql', import.meta.url)

let platform: TestPlatform
let folder: string
beforeAll(async () => {
  platform = await startPlatform({ tiers: ['oltp'] })
  await foundTenant(platform.tierClient('oltp'), 'demo')
  await foundTenant(platform.tierClient('oltp'), 'rival')
  await platform.stopGateway()
  folder = mkdtempSync(path.join(tmpdir(), 'penguinmails-supergraph-'))
}, START_TIMEOUT_MS)
afterAll(async () => {
  await platform?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a gateway over a supergraph's file of its own. */
async function withGateway(changes: Record<string, string>, work: (url: string, file: string) => Promise<void>) {
  const file = path.join(folder, 'supergraph.graphql')
  writeFileSync(file, readFileSync(SUPERGRAPH))
  const config = parseConfig(gatewayConfig, { ...platform.settings.gateway, ...changes })
  const { app, close } = await buildGateway(config, file)
  try {
    await work(`${await app.listen({ host: '127.0.0.1', port: 0 })}/graphql`, file)
  } finally {
    await close()
  }
}

const GRAPHQL = 'application/graphql-response+json'
const ACCEPTED = [
  '*/*',
  'application/json',
  GRAPHQL,
  `application/json, ${GRAPHQL}`,
  `${GRAPHQL}, application/json;q=0.9`,
]

describe('both doors', () => {
  const requests: [string, unknown][] = [
    ['an answer of a tier', { query: '{ viewer { roles tenant { name } } campaigns { nodes { id: name } } }' }],
    ['a tier that is down', { query: '{ viewer { roles } queues { name } }' }],
    ['introspection', { query: '{ __schema { queryType { name } } __typename }' }],
    [
      'variables that are wrong',
      { query: 'query ($n: Int) { campaigns(first: $n) { totalCount } }', variables: { n: 'x' } },
    ],
    ['an error of a tier', { query: '{ campaigns(first: 0) { totalCount } viewer { roles } }' }],
    ['a field that is not there', { query: '{ nothing }' }],
    ['a text that does not parse', { query: '{ viewer {' }],
    ['an alias that is reserved', { query: '{ __proto__: viewer { roles } }' }],
    ['a subscription', { query: 'subscription { __typename }' }],
    ['an operation that is not there', { query: 'query A { __typename }', operationName: 'B' }],
  ]

  test('give a kept answer again to the same tenant, and to no other', async () => {
    const codesOf = async (url: string, subject?: typeof RIVAL) => {
      const authorization = `Bearer ${await platform.token(subject)}`
      const { data } = await postGraphql(url, { query: '{ plans { code } }' }, { authorization })
      return data.plans.map(({ code }: { code: string }) => code)
    }
    const system = new pg.Client(platform.databases.oltp.systemUrl)
    await system.connect()
    for (const face of ['lean', 'apollo']) {
      await withGateway({ GATEWAY_FACE: face, RESPONSE_CACHE: 'true', DEDUPLICATE_QUERIES: 'true' }, async (url) => {
        const before = await codesOf(url)
        const code = `new-${face}`
        await system.query('INSERT INTO plans (id, code, name) VALUES (gen_random_uuid(), $1, $1)', [code])
        expect(await codesOf(url)).toEqual(before)
        expect(await codesOf(url, RIVAL)).toEqual(expect.arrayContaining([...before, code]))
      })
    }
    await system.end()
  })

  test('answer alike, each tenant its own', async () => {
    const answers = new Map<string, unknown[]>()
    for (const face of ['lean', 'apollo']) {
      const given: unknown[] = []
      await withGateway({ GATEWAY_FACE: face }, async (url) => {
        for (const subject of [undefined, RIVAL]) {
          const authorization = `Bearer ${await platform.token(subject)}`
          for (const [what, body] of requests) {
            const { status, data, errors } = await postGraphql(url, body, { authorization })
            given.push({ what, status, data, errors })
          }
          for (const accept of ACCEPTED)
            given.push({
              accept,
              status: (await postGraphql(url, { query: '{ nothing }' }, { authorization, accept })).status,
            })
        }
      })
      answers.set(face, given)
    }
    expect(answers.get('lean')).toEqual(answers.get('apollo'))
    const names = answers
      .get('lean')
      ?.map((answer) => (answer as { data?: { viewer?: { tenant?: { name: string } } } }).data?.viewer?.tenant?.name)
    expect(names?.filter(Boolean)).toEqual(['demo', 'rival'])
  }, 120_000)
})

test('a new supergraph is in force without a restart, one that is not valid never', async () => {
  await withGateway({}, async (url, file) => {
    const whole = readFileSync(SUPERGRAPH, 'utf8')
    const authorization = `Bearer ${await platform.token()}`
    const ask = async () => (await postGraphql(url, { query: '{ viewer { roles } }' }, { authorization })).status
    expect(await ask()).toBe(200)
    writeFileSync(file, `${whole}\ntype Broken {`)
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(await ask()).toBe(200)
    writeFileSync(file, whole.replace(/^ {2}viewer: Viewer/m, '  viewerOfOld: Viewer'))
    await eventually(ask, (status) => status === 400)
    writeFileSync(file, whole)
    await eventually(ask, (status) => status === 200)
  })
}, 120_000)
