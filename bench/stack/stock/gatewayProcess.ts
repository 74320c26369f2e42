/** The stock gateway: Apollo Server standalone over ApolloGateway; tokens are verified here and nowhere else. */
import { readFileSync } from 'node:fs'
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway'
import { ApolloServer } from '@apollo/server'
import { startStandaloneServer } from '@apollo/server/standalone'
import { createLocalJWKSet, jwtVerify } from 'jose'
import type { Asker } from './subgraph.ts'

// Whoever started it may be gone before it has come so far.
process.once('disconnect', () => process.exit(0))
if (!process.connected) process.exit(0)

const { JWKS_FILE = '', SUPERGRAPH = '', PORT } = process.env
const keys = createLocalJWKSet(JSON.parse(readFileSync(JWKS_FILE, 'utf8')))

/** Tells a subgraph who asks. */
class TenantDataSource extends RemoteGraphQLDataSource<Partial<Asker>> {
  override willSendRequest({
    request,
    context,
  }: Parameters<NonNullable<RemoteGraphQLDataSource<Partial<Asker>>['willSendRequest']>>[0]) {
    const { tenantId, userId } = context
    if (tenantId) request.http?.headers.set('x-tenant-id', tenantId)
    if (userId) request.http?.headers.set('x-user-id', userId)
  }
}

const gateway = new ApolloGateway({
  supergraphSdl: SUPERGRAPH,
  buildService: ({ url }) => new TenantDataSource({ url }),
})
const { url } = await startStandaloneServer(new ApolloServer<Asker>({ gateway }), {
  listen: { host: '127.0.0.1', port: Number(PORT) },
  async context({ req }) {
    const token = (req.headers.authorization ?? '').replace(/^Bearer /, '')
    const options = { issuer: 'penguinmails', audience: 'penguinmails-graph' }
    const { payload } = await jwtVerify<{ tenant: string }>(token, keys, options)
    return { tenantId: payload.tenant, userId: String(payload.sub) }
  },
})
process.send?.({ url })
