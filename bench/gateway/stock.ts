/** The peer by its documentation: Apollo Server standalone over ApolloGateway. */
import { ApolloGateway } from '@apollo/gateway'
import { ApolloServer } from '@apollo/server'
import { startStandaloneServer } from '@apollo/server/standalone'
import { findFreePort } from '#platform/local/freePort.ts'
import type { Start, Started } from './starting.ts'

process.env.APOLLO_TELEMETRY_DISABLED = 'true'

export async function startStock({ supergraphSdl }: Start): Promise<Started> {
  const server = new ApolloServer({ gateway: new ApolloGateway({ supergraphSdl }) })
  return startStandaloneServer(server, { listen: { port: await findFreePort(), host: '127.0.0.1' } })
}
