import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { callerKeyName, tierUrlName } from '#platform/caller/edges.ts'
import { parseConfig } from '#platform/config.ts'
import { TIERS } from '#platform/contracts/tiers.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import { buildGateway } from '../../gateway/app.ts'
import { gatewayConfig } from '../../gateway/config.ts'
import { makeFolder, type Start, type Started } from './starting.ts'

/** Our gateway as it is shipped: tokens are verified, callers signed, requests counted. */
export async function startOwn({ supergraphSdl, publicKey, ports }: Start, face: 'lean' | 'apollo'): Promise<Started> {
  const folder = makeFolder()
  const port = await findFreePort()
  const supergraphFile = path.join(folder, 'supergraph.graphql')
  const jwksFile = path.join(folder, 'jwks.json')
  writeFileSync(supergraphFile, supergraphSdl)
  writeFileSync(jwksFile, JSON.stringify({ keys: [publicKey] }))
  const key = () => randomBytes(32).toString('base64')
  const config = parseConfig(gatewayConfig, {
    JWKS_FILE: jwksFile,
    GATEWAY_FACE: face,
    GATEWAY_PORT: `${port}`,
    LOG_LEVEL: 'warn',
    // Those of the bench are not registered.
    OPERATIONS: 'any',
    RATE_LIMIT_PER_TENANT: '1000000000',
    RATE_LIMIT_PER_ADDRESS: '1000000000',
    TRACKING_KEY: key(),
    ...Object.fromEntries(
      TIERS.flatMap((tier) => [
        [callerKeyName('gateway', tier), key()],
        [tierUrlName(tier), `http://127.0.0.1:${ports[tier]}/graphql`],
      ]),
    ),
  })
  const { app } = await buildGateway(config, supergraphFile)
  return { url: `${await app.listen({ host: '127.0.0.1', port })}/graphql` }
}
