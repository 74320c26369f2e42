import type { Operations } from '#platform/execution/operations.ts'
import type { Fetcher } from '../../../gateway/execution/execution.ts'
import { type Operation, openOperations } from '../../../gateway/execution/operation.ts'
import { readSupergraph } from '../../../gateway/execution/supergraph.ts'
import type { Gateway } from './stockGateway.ts'
import type { Faults, World } from './worlds/world.ts'

type Context = { faults: Faults }

/** Our executor over a world. */
export function startOwnGateway(world: World): Gateway & { operations: Operations<Operation<Context>> } {
  const supergraph = readSupergraph(world.supergraphSdl)
  const fetchers = new Map(
    world.subgraphs.map((name): [string, Fetcher<Context>] => [
      name,
      async (body, { faults }) => world.ask(name, JSON.parse(body), faults),
    ]),
  )
  const operations = openOperations<Context>({ supergraph, fetchers, maxTokens: 5_000 })
  const run: Gateway = async ({ query, variables, operationName }, faults = () => undefined) => {
    const found = operations.findByText(query, operationName)
    if ('errors' in found) return { data: null, errors: found.errors.map(({ message, path }) => ({ message, path })) }
    const outcome = await found.operation.run(variables, { faults })
    if ('errors' in outcome)
      return { data: null, errors: outcome.errors.map(({ message, path }) => ({ message, path })) }
    const errors = outcome.faults.map(({ message, path }) => ({ message, path }))
    return { data: outcome.data === null ? null : JSON.parse(outcome.data), errors }
  }
  return Object.assign(run, { operations })
}
