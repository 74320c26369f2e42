import { importJWK, type JWK, SignJWT } from 'jose'

/** Whom a token is for: a tenant's user, or our own staff (who have no tenant). */
export type TokenSubject = {
  kind: 'user' | 'staff'
  tenantId: string | null
  userId: string | null
  roles: readonly string[]
}

export type TokenOptions = {
  /** Seconds until it expires; an hour unless given. May be negative, for tests. */
  ttlSeconds?: number
  issuer?: string
  audience?: string
}

/**
 * A bearer token signed with a development key (ES256), as a real issuer would make it. The gateway takes it only if it
 * was told to trust that key.
 */
export async function makeDevToken(
  key: JWK,
  subject: TokenSubject,
  { ttlSeconds = 3600, issuer = 'penguinmails', audience = 'penguinmails-graph' }: TokenOptions = {},
): Promise<string> {
  const { kind, tenantId, userId, roles } = subject
  const claims = kind === 'staff' ? { kind, roles } : { tenant: tenantId, roles }
  const now = Math.floor(Date.now() / 1000)
  const token = new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', ...(key.kid && { kid: key.kid }) })
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + ttlSeconds)
  if (userId) token.setSubject(userId)
  return token.sign(await importJWK(key, 'ES256'))
}
