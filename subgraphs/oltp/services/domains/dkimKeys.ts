import { createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'

const generate = promisify(generateKeyPair)

/** What a domain signs its mail with: the private key, for the vault, and what DNS says of the public one. */
export type DkimKeyPair = { privateKey: string; record: string }

/** Makes an RSA key of 2048 bits: ed25519 (RFC 8463) is still not understood everywhere. */
export async function makeDkimKey(): Promise<DkimKeyPair> {
  const { privateKey } = await generate('rsa', { modulusLength: 2048 })
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    record: `v=DKIM1; k=rsa; p=${publicKey.toString('base64')}`,
  }
}
