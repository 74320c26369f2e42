/** One tier of the stock stack, in a process of its own: Apollo Server standalone, as its documentation starts it. */
import { ApolloServer } from '@apollo/server'
import { ApolloServerPluginInlineTraceDisabled } from '@apollo/server/plugin/disabled'
import { startStandaloneServer } from '@apollo/server/standalone'
import type { StockSubgraph } from './subgraph.ts'

// Whoever started it may be gone before it has come so far.
process.once('disconnect', () => process.exit(0))
if (!process.connected) process.exit(0)

const tier = process.argv[2] ?? ''
const { [tier]: subgraph } = (await import(`./${tier}.ts`)) as Record<string, StockSubgraph>
if (!subgraph) throw new Error(`there is no subgraph ${tier}`)

// Nobody here reads traces; without this it says at each start that it could write some.
const plugins = [ApolloServerPluginInlineTraceDisabled()]
const { url } = await startStandaloneServer(new ApolloServer({ schema: subgraph.schema, plugins }), {
  listen: { host: '127.0.0.1', port: Number(process.env.PORT) },
  context: async ({ req: { headers } }) =>
    subgraph.makeContext({ tenantId: String(headers['x-tenant-id']), userId: String(headers['x-user-id']) }),
})
process.send?.({ url })
