import { readFile } from 'node:fs/promises'
import { TIERS } from '#platform/contracts/tiers.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { loadSecrets } from '#platform/local/secrets.ts'
import { readLocalSettings } from '#platform/local/settings.ts'

// `npm run -s compose-env > .env`: what docker-compose.yml wants and must not hold, from DATA_DIR's secrets. Tokens are
// checked against the development key; put your identity provider's keys into JWKS before anybody else gets in.
const { dataDir } = readLocalSettings()
const secrets = loadSecrets(dataDir)
const { jwksFile } = await loadDevKey(dataDir)
const settings: Record<string, string> = {
  POSTGRES_PASSWORD: secrets.postgres,
  ...Object.assign(
    {},
    ...TIERS.map((tier) => ({
      [`${tier.toUpperCase()}_OWNER_PASSWORD`]: secrets.databases[tier].owner,
      [`${tier.toUpperCase()}_APP_PASSWORD`]: secrets.databases[tier].app,
      [`${tier.toUpperCase()}_SYSTEM_PASSWORD`]: secrets.databases[tier].system,
    })),
  ),
  ...secrets.callerKeys,
  CONTENT_MASTER_KEY: secrets.contentMasterKey,
  TRACKING_KEY: secrets.trackingKey,
  JWKS: `'${JSON.stringify(JSON.parse(await readFile(jwksFile, 'utf8')))}'`,
}
for (const [name, value] of Object.entries(settings)) console.log(`${name}=${value}`)
