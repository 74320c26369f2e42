import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { CALLER_HEADER, signCaller } from '#platform/caller/caller.ts'
import { makeDevToken } from '#platform/caller/developmentToken.ts'
import { outgoingEdgeSettings, outgoingEdges } from '#platform/caller/edges.ts'
import { parseConfig } from '#platform/config.ts'
import { TIERS } from '#platform/contracts/tiers.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { localEnvironment } from '#platform/local/environment.ts'
import { readLocalSettings } from '#platform/local/settings.ts'
import type { TokenRequest } from './arguments.ts'
import { findMemberId } from './member.ts'

const edgeSchema = z.object(outgoingEdgeSettings('cli', TIERS))

/**
 * The bearer token, or the whole header line when it is for one subgraph.
 * @throws CliProblem when the tenant has no member of that address
 */
export async function printableToken({ email, ttlSeconds, subgraph, ...subject }: TokenRequest): Promise<string> {
  const { dataDir, ports } = readLocalSettings()
  const { cli } = localEnvironment(dataDir, ports, process.env)
  const edges = outgoingEdges('cli', TIERS, parseConfig(edgeSchema, cli))
  const { kind, tenantId, roles } = subject
  const userId = kind === 'user' && tenantId ? await findMemberId(edges.oltp, tenantId, email) : null
  if (subgraph) {
    const caller = { kind, tenantId, userId, roles, requestId: randomUUID() }
    return `${CALLER_HEADER}: ${signCaller(caller, edges[subgraph])}`
  }
  if (kind === 'service') throw new Error('clients of the gateway are never services')
  const { privateKey } = await loadDevKey(dataDir)
  const { JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = process.env
  return makeDevToken(privateKey, { kind, tenantId, userId, roles }, { ttlSeconds, issuer, audience })
}
