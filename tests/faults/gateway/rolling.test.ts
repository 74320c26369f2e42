import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parseConfig } from '#platform/config.ts'
import { buildGateway } from '../../../gateway/app.ts'
import { gatewayConfig } from '../../../gateway/config.ts'
import { eventually } from '../../support/eventually.ts'
import { findFreePort } from '../../support/freePort.ts'
import { START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../../support/graph.ts'
import { foundTenant } from '../../support/tenants.ts'
import { Balancer } from './balancer.ts'
import { underLoad } from './load.ts'

const ROOT = new URL('../../../', import.meta.url)
const IN_FLIGHT = 8
const BODY = JSON.stringify({ query: '{ viewer { tenant { name } } campaigns { nodes { name } } }' })

let platform: TestPlatform
let headers: Record<string, string>
beforeAll(async () => {
  platform = await startPlatform({ tiers: ['oltp'] })
  await foundTenant(platform.tierClient('oltp'), 'demo')
  headers = { 'content-type': 'application/json', authorization: `Bearer ${await platform.token()}` }
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

/** @throws Error unless the answer is whole */
function expectWhole({ status, text }: { status: number; text: string }): void {
  const { data, errors } = JSON.parse(text)
  if (status === 200 && !errors && data.viewer.tenant.name && data.campaigns.nodes.length === 1) return
  throw new Error(`${status} ${text.slice(0, 300)}`)
}

class GatewayProcess {
  readonly port: number
  #child: ChildProcess | undefined

  constructor(port: number) {
    this.port = port
  }

  start(): void {
    const { PATH } = process.env
    this.#child = spawn(process.execPath, ['--import', 'tsx', 'gateway/server.ts'], {
      cwd: ROOT,
      // The balancer, which is in this process, may come to look only after a while.
      env: { PATH, ...platform.settings.gateway, GATEWAY_PORT: String(this.port), GATEWAY_DRAIN_MS: '4000' },
      stdio: 'ignore',
    })
  }

  /** As an operator or an orchestrator does; gives back the exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child
    if (!child || child.exitCode !== null) return null
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    return code
  }
}

test('gateways that are restarted in turn under load fail no request', async () => {
  const gateways = [new GatewayProcess(await findFreePort()), new GatewayProcess(await findFreePort())]
  const balancer = new Balancer(gateways.map(({ port }) => `http://127.0.0.1:${port}`))
  const allReady = () =>
    eventually(
      async () => balancer.readyCount,
      (count) => count === gateways.length,
      60_000,
    )
  const codes: (number | null)[] = []
  try {
    for (const gateway of gateways) gateway.start()
    await allReady()
    const ask = async () => expectWhole(await balancer.post('/graphql', headers, BODY))
    const load = await underLoad(IN_FLIGHT, ask, async () => {
      for (const gateway of gateways) {
        codes.push(await gateway.stop())
        gateway.start()
        await allReady()
      }
    })
    expect(load.failures).toEqual([])
    expect(load.answered).toBeGreaterThan(100)
    expect(codes).toEqual([0, 0])
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()))
    await balancer.close()
  }
}, 240_000)

test('supergraphs that replace one another under load, good ones and bad ones, fail no request', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'penguinmails-supergraph-'))
  const file = path.join(folder, 'supergraph.graphql')
  const sdl = readFileSync(new URL('gateway/supergraph.graphql', ROOT), 'utf8')
  writeFileSync(file, sdl)
  const { app, close } = await buildGateway(parseConfig(gatewayConfig, platform.settings.gateway), file)
  const url = `${await app.listen({ host: '127.0.0.1', port: await findFreePort() })}/graphql`
  const ask = async (body = BODY) => {
    const answer = await fetch(url, { method: 'POST', headers, body })
    return { status: answer.status, text: await answer.text() }
  }
  const described = async () => {
    const query = '{ __type(name: "Query") { fields { name description } } }'
    return JSON.parse((await ask(JSON.stringify({ query }))).text).data.__type.fields
  }
  const withNote = (note: string) => sdl.replace('Who is asking:', `${note}. Who is asking:`)
  try {
    const load = await underLoad(
      4,
      async () => expectWhole(await ask()),
      async () => {
        for (const round of [1, 2, 3]) {
          writeFileSync(file, 'type Query { broken')
          await sleep(300)
          writeFileSync(file, withNote(`round ${round}`))
          await eventually(described, (fields) => JSON.stringify(fields).includes(`round ${round}`), 30_000)
        }
      },
    )
    expect(load.failures).toEqual([])
    expect(load.answered).toBeGreaterThan(20)
  } finally {
    await close()
    rmSync(folder, { recursive: true, force: true })
  }
}, 120_000)
