import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { importJWK, type JWK, type JWTPayload, SignJWT } from 'jose'
import { CALLER_HEADER, type Caller, signCaller } from '#platform/caller/caller.ts'
import { makeDevToken, type TokenOptions, type TokenSubject } from '#platform/caller/developmentToken.ts'
import { callerKeyName } from '#platform/caller/edges.ts'
import { parseConfig } from '#platform/config.ts'
import { DEMO_OWNERS, DEMO_TENANTS } from '#platform/contracts/demo.ts'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { closeIdleConnections } from '#platform/graph/httpPost.ts'
import { makeServiceClient, type ServiceClient } from '#platform/graph/serviceClient.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { localEnvironment, type ProcessSettings } from '#platform/local/environment.ts'
import { PORT_SETTINGS } from '#platform/local/settings.ts'
import { buildGateway } from '../../gateway/app.ts'
import { gatewayConfig } from '../../gateway/config.ts'
import { findFreePort } from './freePort.ts'
import { createTierDatabase, type TierDatabase } from './postgres.ts'
import { startTierServer, type TierServer } from './tierServers.ts'

/** What a server answered; `data` and `errors` as GraphQL has them. */
export type GraphAnswer = {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape it expects
  data: any
  errors: { message: string; path?: (string | number)[]; extensions: { code: string; tier?: Tier } }[] | undefined
  extensions: Record<string, unknown> | undefined
  /** The body as it came, for what must not be in it. */
  text: string
}

/** How long a `beforeAll` that starts the platform may take: loading it all is slow on a busy machine. */
export const START_TIMEOUT_MS = 120_000

/** Owners of the two demo tenants. */
export const DEMO: TokenSubject = owner('demo')
export const RIVAL: TokenSubject = owner('rival')

/** The whole platform in this process: real databases, real HTTP between its parts. */
export class TestPlatform {
  readonly url: string
  readonly databases: Record<Tier, TierDatabase>
  readonly settings: ReturnType<typeof localEnvironment>
  private readonly dataDir: string
  private readonly servers = new Map<Tier, TierServer>()
  private closeGateway: () => Promise<void> = async () => {}
  private closeWorker: () => Promise<void> = async () => {}
  /** Of what else was started, in order. */
  private readonly closers: (() => Promise<void>)[] = []

  constructor(parts: Pick<TestPlatform, 'databases' | 'settings'> & { dataDir: string }) {
    this.databases = parts.databases
    this.settings = parts.settings
    this.dataDir = parts.dataDir
    this.url = `http://127.0.0.1:${this.settings.gateway.GATEWAY_PORT}/graphql`
  }

  async startTier(tier: Tier): Promise<void> {
    this.servers.set(tier, await startTierServer(tier, this.settings[tier]))
  }

  async stopTier(tier: Tier): Promise<void> {
    await this.servers.get(tier)?.close()
    this.servers.delete(tier)
  }

  /** Runs jobs in this process from now on, polling often. */
  async startWorker(): Promise<void> {
    const { buildWorker } = await import('../../subgraphs/queue/workerApp.ts')
    const { workerConfig } = await import('../../subgraphs/queue/config.ts')
    const { close } = buildWorker(parseConfig(workerConfig, { ...this.settings.worker, WORKER_POLL_MS: '50' }))
    this.closeWorker = close
  }

  async stopWorker(): Promise<void> {
    await this.closeWorker()
    this.closeWorker = async () => {}
  }

  /** Opens the door for mail in this process; needs oltp and content. */
  async startSmtpDoor(changes: ProcessSettings = {}): Promise<void> {
    const { buildSmtpDoor } = await import('../../subgraphs/oltp/smtpDoor/app.ts')
    const { smtpDoorConfig } = await import('../../subgraphs/oltp/smtpDoor/config.ts')
    const config = parseConfig(smtpDoorConfig, { ...this.settings.smtpDoor, ...changes })
    const { app, close } = buildSmtpDoor(config)
    this.closers.push(close)
    await app.listen(config)
  }

  /** Starts the sandbox in this process: it answers at the door and visits the gateway. `changes` are its rates. */
  async startSandbox(changes: ProcessSettings = {}) {
    const { buildSandbox } = await import('../../cli/sandbox/app.ts')
    const { sandboxConfig } = await import('../../cli/sandbox/config.ts')
    const config = parseConfig(sandboxConfig, { ...this.settings.sandbox, ...changes })
    const sandbox = buildSandbox(config)
    this.closers.push(sandbox.close)
    await sandbox.app.listen(config)
    return sandbox
  }

  /**
   * Waits until analytics counts every event accepted before this call; needs all tiers and the worker. A long transaction
   * in anybody's database on the same PostgreSQL holds it up.
   */
  async settle(timeoutMs = 40_000): Promise<void> {
    const asked = Date.now()
    for (;;) {
      const { data } = await this.ask('{ analyticsWatermarks { pipeline upTo } }')
      const marks: { pipeline: string; upTo: string }[] = data?.analyticsWatermarks ?? []
      const upTo = marks.find(({ pipeline }) => pipeline === 'email_events')?.upTo
      if (upTo && Date.parse(upTo) >= asked) return
      if (Date.now() - asked > timeoutMs) throw new Error(`events are still not counted after ${timeoutMs} ms: ${upTo}`)
      await delay(100)
    }
  }

  /** `changes` are settings that differ from the usual. */
  async startGateway(changes: ProcessSettings = {}): Promise<void> {
    const config = parseConfig(gatewayConfig, { ...this.settings.gateway, ...changes })
    const { app, close } = await buildGateway(config)
    this.closeGateway = close
    await app.listen(config)
    // Building it kept this process busy: fetch has yet to notice that a predecessor closed its connections.
    await delay(20)
  }

  async stopGateway(): Promise<void> {
    await this.closeGateway()
    this.closeGateway = async () => {}
  }

  /** A bearer token, by default for the demo tenant's owner. */
  async token(subject: TokenSubject = DEMO, options?: TokenOptions): Promise<string> {
    const { privateKey } = await loadDevKey(this.dataDir)
    return makeDevToken(privateKey, subject, options)
  }

  /** Signs any claims with the development key: tokens as an issuer should never make them. */
  async sign(claims: JWTPayload): Promise<string> {
    const { privateKey } = await loadDevKey(this.dataDir)
    const token = new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: privateKey.kid })
    return token.sign(await importJWK(privateKey, 'ES256'))
  }

  /** The public half of the development key, as the gateway has it. */
  async publicKey(): Promise<JWK> {
    const { d: _private, ...publicKey } = (await loadDevKey(this.dataDir)).privateKey
    return publicKey
  }

  /** Asks the gateway as a client, by default as the demo tenant's owner. */
  async ask(query: string, variables: object = {}, as: TokenSubject | { token: string } = DEMO): Promise<GraphAnswer> {
    const token = 'token' in as ? as.token : await this.token(as)
    return postGraphql(this.url, { query, variables }, { authorization: `Bearer ${token}` })
  }

  /** Asks one tier's subgraph directly as a service; development tools may. */
  tierClient(tier: Tier): ServiceClient {
    return makeServiceClient({ from: 'cli', to: tier, key: this.key('cli', tier), url: this.tierUrl(tier) })
  }

  /** Asks one tier's subgraph directly with these headers and nothing else. */
  askTier(tier: Tier, query: string, headers: Record<string, string> = {}, variables: object = {}) {
    return postGraphql(this.tierUrl(tier), { query, variables }, headers)
  }

  /** A signed caller header, by default the gateway's for the demo tenant's owner. */
  callerHeader(tier: Tier, caller: Partial<Caller> = {}, key = this.key(caller.from ?? 'gateway', tier)) {
    const whole = { ...DEMO, requestId: 'test-request', ...caller }
    return { [CALLER_HEADER]: signCaller(whole, { from: caller.from ?? 'gateway', to: tier, key }) }
  }

  /** The key of one edge. */
  key(from: string, to: Tier): Buffer {
    return Buffer.from(this.settings[to][callerKeyName(from, to)] ?? '', 'base64')
  }

  tierUrl(tier: Tier): string {
    return String(this.settings.gateway[`${tier.toUpperCase()}_URL`])
  }

  async stop(): Promise<void> {
    for (const close of this.closers.splice(0).reverse()) await close()
    await this.stopGateway()
    await this.stopWorker()
    await Promise.all([...this.servers.keys()].map((tier) => this.stopTier(tier)))
    closeIdleConnections()
    await Promise.all(Object.values(this.databases).map((database) => database.drop()))
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}

/**
 * Starts the platform on databases of its own and free ports; for `beforeAll`, with `stop` in `afterAll`.
 * Jobs run only with `worker: true`.
 */
export async function startPlatform({
  tiers = TIERS,
  worker = false,
  gateway = {},
}: {
  tiers?: readonly Tier[]
  worker?: boolean
  /** Settings of the gateway that differ from the usual. */
  gateway?: ProcessSettings
} = {}): Promise<TestPlatform> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-graph-'))
  await loadDevKey(dataDir)
  const databases = Object.fromEntries(
    await Promise.all(tiers.map(async (tier) => [tier, await createTierDatabase(tier)] as const)),
  ) as Record<Tier, TierDatabase>
  const names = Object.keys(PORT_SETTINGS)
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await findFreePort()])))
  const settings = localEnvironment(dataDir, ports, databaseSettings(databases))
  for (const process of Object.values(settings)) process.LOG_LEVEL = globalThis.process.env.TEST_LOG_LEVEL ?? 'silent'
  // Nobody answers there: no test asks the world's DNS.
  settings.oltp.DNS_SERVERS ??= '127.0.0.1:9'
  const platform = new TestPlatform({ databases, settings, dataDir })
  try {
    // One after the other: Jest cannot load two graphs of modules at once.
    for (const tier of tiers) await platform.startTier(tier)
    await platform.startGateway(gateway)
    if (worker) await platform.startWorker()
    return platform
  } catch (error) {
    await platform.stop()
    throw error
  }
}

function databaseSettings(databases: Partial<Record<Tier, TierDatabase>>): ProcessSettings {
  return Object.fromEntries(
    Object.entries(databases).flatMap(([tier, { url, systemUrl, ownerUrl }]) => [
      [`${tier.toUpperCase()}_DATABASE_URL`, url],
      [`${tier.toUpperCase()}_SYSTEM_DATABASE_URL`, systemUrl],
      [`${tier.toUpperCase()}_OWNER_DATABASE_URL`, ownerUrl],
    ]),
  )
}

/** Posts one GraphQL request; for tests of what an arbitrary client may send. */
export async function postGraphql(url: string, body: unknown, headers: Record<string, string>): Promise<GraphAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const text = await response.text()
  const { data, errors, extensions } = JSON.parse(text)
  return { status: response.status, headers: response.headers, data, errors, extensions, text }
}

function owner(tenant: keyof typeof DEMO_TENANTS): TokenSubject {
  return { kind: 'user', tenantId: DEMO_TENANTS[tenant], userId: DEMO_OWNERS[tenant].id, roles: ['owner'] }
}
