import path from 'node:path'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { createJsonFile, readJsonFile, replaceJsonFile } from './privateFile.ts'

/** The key pair that signs development tokens: an ES256 private key, and where its public half is for the gateway. */
export type DevKey = { privateKey: JWK & { kid: string }; jwksFile: string }

/** Where the public half of the development key is. */
export function jwksFile(dataDir: string): string {
  return path.join(dataDir, 'jwks.json')
}

/** The development key of this data folder (`dev-key.json`, 0600, and `jwks.json`), made on first use. */
export async function loadDevKey(dataDir: string): Promise<DevKey> {
  const file = path.join(dataDir, 'dev-key.json')
  const stored = readJsonFile(file) as DevKey['privateKey'] | null
  if (!stored) {
    createJsonFile(file, await makePrivateKey())
    return loadDevKey(dataDir)
  }
  const jwks = jwksFile(dataDir)
  if (!readJsonFile(jwks)) {
    const { d: _private, ...publicKey } = stored
    replaceJsonFile(jwks, { keys: [publicKey] })
  }
  return { privateKey: stored, jwksFile: jwks }
}

async function makePrivateKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: 'development', alg: 'ES256', use: 'sig' }
}
