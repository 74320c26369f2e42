import { z } from 'zod'
import { makeDevToken } from '#platform/caller/developmentToken.ts'
import { outgoingEdgeSettings, outgoingEdges } from '#platform/caller/edges.ts'
import { parseConfig } from '#platform/config.ts'
import { type GatewayClient, makeGatewayClient } from '#platform/graph/gatewayClient.ts'
import { makeServiceClient, type ServiceClient } from '#platform/graph/serviceClient.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import type { ProcessSettings } from '#platform/local/environment.ts'

const TOKEN_SECONDS = 3600
const RENEW_AFTER_MS = (TOKEN_SECONDS / 2) * 1000

/** Where a local platform is and what the development tools may use of it (`localEnvironment(…).cli`). */
export type LocalPlatform = ProcessSettings

/** The oltp tier, asked as the development tools. */
export function makeLocalOltpClient(env: LocalPlatform): ServiceClient {
  const edges = outgoingEdges('cli', ['oltp'], parseConfig(z.object(outgoingEdgeSettings('cli', ['oltp'])), env))
  return makeServiceClient(edges.oltp)
}

/** The gateway, asked as an owner of the tenant with a development token that is renewed while it is used. */
export function makeLocalGraphClient(env: LocalPlatform, tenantId: string, userId: string | null): GatewayClient {
  const { DATA_DIR, GATEWAY_PORT } = parseConfig(z.object({ DATA_DIR: z.string(), GATEWAY_PORT: z.string() }), env)
  let current: { token: Promise<string>; madeAt: number } | null = null
  const makeToken = async () => {
    const { privateKey } = await loadDevKey(DATA_DIR)
    const { JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = process.env
    const subject = { kind: 'user', tenantId, userId, roles: ['owner'] } as const
    return makeDevToken(privateKey, subject, { ttlSeconds: TOKEN_SECONDS, issuer, audience })
  }
  return makeGatewayClient({
    url: `http://127.0.0.1:${GATEWAY_PORT}/graphql`,
    token: () => {
      if (!current || Date.now() - current.madeAt > RENEW_AFTER_MS) current = { token: makeToken(), madeAt: Date.now() }
      return current.token
    },
  })
}
