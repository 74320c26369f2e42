import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { callerKeyName, tierUrlName } from '#platform/caller/edges.ts'
import { parseConfig } from '#platform/config.ts'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { buildGateway } from '../../gateway/app.ts'
import { gatewayConfig } from '../../gateway/config.ts'

export type OwnOptions = {
  supergraphSdl: string
  face: 'lean' | 'apollo'
  publicKey: object
  ports: Record<Tier, number>
}

/** Our gateway as it is shipped: tokens are verified, callers signed, requests counted. Gives back its address. */
export async function startOwn({ supergraphSdl, face, publicKey, ports }: OwnOptions): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'penguinmails-bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const supergraphFile = path.join(folder, 'supergraph.graphql')
  const jwksFile = path.join(folder, 'jwks.json')
  writeFileSync(supergraphFile, supergraphSdl)
  writeFileSync(jwksFile, JSON.stringify({ keys: [publicKey] }))
  const key = () => randomBytes(32).toString('base64')
  const config = parseConfig(gatewayConfig, {
    JWKS_FILE: jwksFile,
    GATEWAY_FACE: face,
    GATEWAY_PORT: '0',
    LOG_LEVEL: 'warn',
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
  return `${await app.listen({ host: '127.0.0.1', port: 0 })}/graphql`
}
