import { readFileSync } from 'node:fs'
import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { z } from 'zod'
import type { Caller } from '#platform/caller/caller.ts'
import { STAFF_ROLES, TENANT_ROLES } from '#platform/caller/roles.ts'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { GatewayConfig } from './config.ts'

/** Who a token speaks for, and until when; milliseconds since 1970. */
export type Client = Pick<Caller, 'kind' | 'tenantId' | 'userId' | 'roles'> & { expiresAt: number }

/** Reads the `Authorization` header. Rejects with AppError UNAUTHENTICATED, or UNAVAILABLE when the keys can't be had. */
export type TokenVerifier = (authorization: string | undefined) => Promise<Client>

/** Only signatures by a private key: a verifier's own public key must never do as a secret. */
const ALGORITHMS = ['ES256', 'RS256']
const CLOCK_TOLERANCE_SECONDS = 5

const tenantClaims = z.object({
  tenant: z.guid().refine((id) => id !== PLATFORM_TENANT),
  sub: z.guid().optional(),
  roles: z.array(z.string()).default([]),
  kind: z.undefined().optional(),
})
const staffClaims = z.object({
  kind: z.literal('staff'),
  tenant: z.undefined().optional(),
  sub: z.guid().optional(),
  roles: z.array(z.string()),
})

/**
 * Makes the check of clients' bearer tokens: signature by a known key, issuer, audience, expiry, and claims that name
 * either a tenant or staff, never both. Roles of the other kind are dropped; staff without a role of theirs are nobody.
 */
export function makeTokenVerifier({ jwksFile, jwksUrl, issuer, audience }: GatewayConfig['tokens']): TokenVerifier {
  const keys: JWTVerifyGetKey = jwksUrl
    ? createRemoteJWKSet(new URL(jwksUrl))
    : createLocalJWKSet(JSON.parse(readFileSync(jwksFile ?? '', 'utf8')))
  return async (authorization) => {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    if (!token) throw new AppError('UNAUTHENTICATED', 'a bearer token is required')
    const checks = {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    }
    try {
      return readClaims((await jwtVerify(token, keys, checks)).payload)
    } catch (cause) {
      throw refusal(cause)
    }
  }
}

function readClaims(payload: JWTPayload): Client {
  const expiresAt = (payload.exp ?? 0) * 1000
  const staff = staffClaims.safeParse(payload)
  if (staff.success) {
    const roles = staff.data.roles.filter((role) => STAFF_ROLES.includes(role))
    if (roles.length === 0) throw new AppError('UNAUTHENTICATED', 'the token is not valid')
    return { kind: 'staff', tenantId: null, userId: staff.data.sub ?? null, roles, expiresAt }
  }
  const { tenant, sub, roles } = tenantClaims.parse(payload)
  return {
    kind: 'user',
    tenantId: tenant.toLowerCase(),
    userId: sub?.toLowerCase() ?? null,
    roles: roles.filter((role) => TENANT_ROLES.includes(role)),
    expiresAt,
  }
}

function refusal(cause: unknown): AppError {
  if (cause instanceof errors.JWTExpired) return new AppError('UNAUTHENTICATED', 'the token has expired', { cause })
  if (cause instanceof AppError) return cause
  const faultOfToken = cause instanceof z.ZodError || (cause instanceof errors.JOSEError && !isFaultOfKeys(cause))
  return faultOfToken
    ? new AppError('UNAUTHENTICATED', 'the token is not valid', { cause })
    : new AppError('UNAVAILABLE', 'tokens cannot be checked just now', { cause })
}

/** The address of the keys does not answer, answers with an error (jose has no class for that), or with something else. */
function isFaultOfKeys(error: errors.JOSEError): boolean {
  return [errors.JWKSTimeout.code, errors.JWKSInvalid.code, errors.JOSEError.code].includes(error.code)
}
