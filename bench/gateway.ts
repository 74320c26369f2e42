/**
 * Our gateway, by both of its doors, against Apollo Server with Apollo's gateway, Hive Gateway and Grafbase.
 *
 * Each gateway is a process of its own, the four stub subgraphs another; what counts is the processor time of the
 * gateway's process, with all its threads, for one request. Answers are compared before anything is measured. Ours
 * verifies tokens and signs callers besides.
 * After `--`: `--rounds N`, `--round-ms N`, `--in-flight N`, `--only ID,…`: the contenders by their names in contenders.ts.
 */
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { exportJWK, generateKeyPair } from 'jose'
import { makeDevToken } from '#platform/caller/developmentToken.ts'
import { DEMO_OWNERS, DEMO_TENANTS } from '#platform/contracts/demo.ts'
import { CONTENDERS, type ContenderId, isAvailable, isGateway, readContenders } from './gateway/contenders.ts'
import { composeShop, OPERATIONS, type Operation } from './gateway/graph.ts'
import { type RunningGateway, startGateway, startStubs } from './gateway/processes.ts'
import { installPeers } from './peers/loadPeer.ts'
import { openGraphqlClient } from './support/graphqlClient.ts'
import { machineLine } from './support/machine.ts'
import { median } from './support/statistics.ts'
import { formatTable } from './support/table.ts'

const { only, rounds, roundMs, inFlight } = readSettings()

type Contender = { id: ContenderId; gateway: RunningGateway; ask: (operation: Operation, n: number) => Promise<string> }
type Round = { cpuMs: number; perSecond: number }

if (only.some((id) => CONTENDERS[id].isPeer)) installPeers()
const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
const kid = 'bench'
const subject = { kind: 'user', tenantId: DEMO_TENANTS.demo, userId: DEMO_OWNERS.demo.id, roles: ['owner'] } as const
const token = await makeDevToken({ ...(await exportJWK(privateKey)), kid }, subject)
const stubs = await startStubs()
const running: RunningGateway[] = []
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop(1))
try {
  const supergraphSdl = composeShop((tier) => `http://127.0.0.1:${stubs.ports[tier]}/graphql`)
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'ES256' }
  const contenders = await Promise.all(
    only.filter(isAvailable).map(async (id): Promise<Contender> => {
      const gateway = await startGateway({ id, supergraphSdl, publicKey: jwk, ports: stubs.ports })
      running.push(gateway)
      return { id, gateway, ask: makeClient(gateway.url) }
    }),
  )
  console.log(`${machineLine()}; ${inFlight} in flight, medians of ${rounds} alternating rounds of ${roundMs} ms`)
  const missing = only.filter((id) => !isAvailable(id))
  if (missing.length > 0) console.log(`left out, for want of a program for this machine: ${missing.join(', ')}`)
  for (const operation of OPERATIONS) {
    const able = contenders.filter(({ id }) => operation.isOfOneSubgraph || isGateway(id))
    const bytes = await compareAnswers(able, operation)
    console.log(`\n${operation.name} (${Math.round(bytes / 100) / 10} KB)\n`)
    console.log(describe(await measure(able, operation)))
  }
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  stop(process.exitCode)
}

function makeClient(address: string): Contender['ask'] {
  const { post } = openGraphqlClient(address, { token, connections: inFlight })
  return async ({ query, variables }, n) => (await post(query, variables(n))).text
}

/** Several requests of each: the same data from everyone, and no errors. Gives back the size of one answer. */
async function compareAnswers(contenders: readonly Contender[], operation: Operation): Promise<number> {
  let bytes = 0
  for (let n = 0; n < 20; n += 1) {
    const answers = await Promise.all(contenders.map(({ ask }) => ask(operation, n)))
    const parsed = answers.map((text) => JSON.parse(text))
    for (const [i, { errors, data }] of parsed.entries()) {
      const isSame = !errors && data && isDeepStrictEqual(data, parsed[0].data)
      if (!isSame) throw new Error(`${operation.name}, by ${contenders[i]?.id}: ${answers[i]?.slice(0, 500)}`)
    }
    bytes = answers[0]?.length ?? 0
  }
  return bytes
}

async function measure(contenders: readonly Contender[], operation: Operation): Promise<Map<ContenderId, Round[]>> {
  const results = new Map<ContenderId, Round[]>(contenders.map(({ id }) => [id, []]))
  // Unmeasured at first, for the compiler to have seen everything, the stubs' too.
  for (const contender of contenders) await warmUp(contender, operation)
  for (let round = 0; round < rounds; round += 1) {
    const turn = round % contenders.length
    for (const contender of [...contenders.slice(turn), ...contenders.slice(0, turn)]) {
      results.get(contender.id)?.push(await runRound(contender, operation))
    }
  }
  return results
}

async function warmUp({ ask }: Contender, operation: Operation): Promise<void> {
  let sent = 0
  const keepAsking = async () => {
    while (sent < operation.warmUp) await ask(operation, sent++)
  }
  await Promise.all(Array.from({ length: inFlight }, keepAsking))
}

async function runRound({ gateway, ask }: Contender, operation: Operation): Promise<Round> {
  const before = await gateway.usageMs()
  const start = performance.now()
  let sent = 0
  const keepAsking = async () => {
    while (performance.now() - start < roundMs) await ask(operation, sent++)
  }
  await Promise.all(Array.from({ length: inFlight }, keepAsking))
  const seconds = (performance.now() - start) / 1000
  return { cpuMs: ((await gateway.usageMs()) - before) / sent, perSecond: sent / seconds }
}

function describe(results: Map<ContenderId, Round[]>): string {
  const [[firstId, first] = []] = results
  const rows = [...results].map(([id, measured]) => [
    CONTENDERS[id].name,
    median(measured.map((round) => round.cpuMs)).toFixed(3),
    median(measured.map((round, i) => (first?.[i]?.cpuMs ?? Number.NaN) / round.cpuMs)).toFixed(1),
    median(measured.map((round) => round.perSecond)).toFixed(0),
  ])
  return formatTable(['', 'gateway CPU ms/request', `× ${firstId}`, 'requests/s'], rows)
}

function stop(exitCode: number | string | null | undefined = 0): never {
  for (const { stop: stopGateway } of running) stopGateway()
  stubs.stop()
  process.exit(exitCode ?? 0)
}

function readSettings() {
  const text = (value: string) => ({ type: 'string', default: value }) as const
  const options = {
    rounds: text('7'),
    'round-ms': text('1000'),
    'in-flight': text('16'),
    only: text(Object.keys(CONTENDERS).join(',')),
  }
  try {
    const { values } = parseArgs({ options })
    const number = (name: 'rounds' | 'round-ms' | 'in-flight') => {
      const value = Number(values[name])
      if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} is a whole number from 1`)
      return value
    }
    const only = readContenders(values.only)
    return { only, rounds: number('rounds'), roundMs: number('round-ms'), inFlight: number('in-flight') }
  } catch (error) {
    const usage = Object.entries(options).map(([name, option]) => `[--${name} ${option.default}]`)
    console.error(`${(error as Error).message}\n\nnpm run bench gateway -- ${usage.join(' ')}`)
    process.exit(1)
  }
}
