/** The peer by its documentation: Apollo Server standalone over ApolloGateway. */
import { ApolloGateway } from '@apollo/gateway'
import { ApolloServer } from '@apollo/server'
import { startStandaloneServer } from '@apollo/server/standalone'

process.env.NODE_ENV = 'production'
process.env.APOLLO_TELEMETRY_DISABLED = 'true'

/** Gives back the address it listens on. */
export async function startStock(supergraphSdl: string): Promise<string> {
  const server = new ApolloServer({ gateway: new ApolloGateway({ supergraphSdl }) })
  const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } })
  return url
}
