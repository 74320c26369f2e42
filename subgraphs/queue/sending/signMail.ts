import DKIM from 'nodemailer/lib/dkim/index.js'
import type { Vault } from '#platform/vault.ts'

export type DkimOrder = { domain: string; selector: string; vaultKeyPath: string }

/**
 * A mail signed for its domain, with the key in PEM that the vault keeps.
 * @throws AppError NOT_FOUND without a key; Error for one that cannot sign: a mail that should be signed does not leave
 *         unsigned
 */
export async function signMail(
  raw: Buffer,
  { domain, selector, vaultKeyPath }: DkimOrder,
  vault: Vault,
): Promise<Buffer> {
  const privateKey = await vault.read(vaultKeyPath)
  const chunks: Buffer[] = []
  const signed = new DKIM({ domainName: domain, keySelector: selector, privateKey }).sign(raw)
  for await (const chunk of signed) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  // nodemailer leaves a mail as it is when it has no usable key.
  if (!/^DKIM-Signature:/i.test(bytes.toString('latin1', 0, 20))) throw new Error('the DKIM key is unusable')
  return bytes
}
