import { isDeepStrictEqual } from 'node:util'
import { openGraphqlClient } from '../support/graphqlClient.ts'
import { processorTimeOf, processorTimeOfFamily } from '../support/processorTime.ts'
import { median } from '../support/statistics.ts'
import type { Operation } from './operations.ts'

/** A gateway and its four tiers, each a process. */
export type Stack = { name: string; url: string; gatewayPid: number; tierPids: number[] }

export type Contender = Stack & { ask: (operation: Operation, n: number) => Promise<string>; close: () => void }

export type RoundOptions = {
  rounds: number
  roundMs: number
  /** Requests running at any moment. */
  inFlight: number
  /** The server of both stacks' databases: only one of them is asked at a time. */
  postgresPid: number
}

/** Processor time in milliseconds a request. */
export type Round = { gateway: number; tiers: number; node: number; postgres: number; perSecond: number; p50: number }

export function makeContender(stack: Stack, { token, inFlight }: { token: string; inFlight: number }): Contender {
  const { post, close } = openGraphqlClient(stack.url, { token, connections: inFlight })
  return {
    ...stack,
    async ask({ query, variables }, n) {
      const { status, text } = await post(query, variables(n))
      if (status !== 200 || text.includes('"errors":[')) throw new Error(`${stack.name}: ${text.slice(0, 1_000)}`)
      return text
    },
    close,
  }
}

/**
 * Several requests of each: the same data from everyone, and no errors. Gives back the mean size of an answer.
 * @throws Error naming the first answer that differs
 */
export async function compareAnswers(contenders: readonly Contender[], operation: Operation): Promise<number> {
  const requests = 40
  let characters = 0
  for (let n = 0; n < requests; n += 1) {
    const texts = await Promise.all(contenders.map(({ ask }) => ask(operation, n)))
    const answers = texts.map((text) => JSON.parse(text))
    for (const [i, { data }] of answers.entries()) {
      if (data && isDeepStrictEqual(data, answers[0].data)) continue
      const shown = texts.map((text, j) => `${contenders[j]?.name}: ${text.slice(0, 1_000)}`)
      throw new Error(`${operation.name}: ${contenders[i]?.name} answers differently\n${shown.join('\n')}`)
    }
    characters += texts[0]?.length ?? 0
  }
  return characters / requests
}

/** All operations in turn, unmeasured: until the compiler has seen everything, a request costs several times as much. */
export async function warmUp(contender: Contender, operations: readonly Operation[], ms: number, inFlight: number) {
  const until = performance.now() + ms
  let sent = 0
  const keepAsking = async () => {
    while (performance.now() < until) {
      const n = sent++
      await contender.ask(operations[n % operations.length] as Operation, n)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, keepAsking))
}

/** Many short rounds in turn: whatever else the machine does falls on all alike. The first of each is not counted. */
export async function measure(
  contenders: readonly Contender[],
  operation: Operation,
  options: RoundOptions,
): Promise<Round[][]> {
  const results: Round[][] = contenders.map(() => [])
  for (const contender of contenders) await runRound(contender, operation, options)
  for (let round = 0; round < options.rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const index = (round + turn) % contenders.length
      results[index]?.push(await runRound(contenders[index] as Contender, operation, options))
    }
  }
  return results
}

async function runRound(contender: Contender, operation: Operation, options: RoundOptions): Promise<Round> {
  const { ask, gatewayPid, tierPids } = contender
  const read = () => [
    processorTimeOf([gatewayPid]),
    processorTimeOf(tierPids),
    processorTimeOfFamily(options.postgresPid),
  ]
  const latencies: number[] = []
  let sent = 0
  const before = read()
  const start = performance.now()
  const keepAsking = async () => {
    while (performance.now() - start < options.roundMs) {
      const began = performance.now()
      await ask(operation, sent++)
      latencies.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: options.inFlight }, keepAsking))
  const seconds = (performance.now() - start) / 1000
  const [gateway = 0, tiers = 0, postgres = 0] = read().map((now, i) => (now - (before[i] ?? 0)) / sent)
  return { gateway, tiers, node: gateway + tiers, postgres, perSecond: sent / seconds, p50: median(latencies) }
}
