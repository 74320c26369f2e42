import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Tier } from '#platform/contracts/tiers.ts'
import { AppError } from '#platform/errors.ts'
import { STAFF_ROLES } from './roles.ts'

/** The header in which one process tells another on whose behalf it asks. */
export const CALLER_HEADER = 'x-penguin-caller'

/** How long a signed header lives, and how far two clocks may differ; seconds. */
export const CALLER_LIFETIME_SECONDS = 30
export const CALLER_SKEW_SECONDS = 5

export type CallerKind = 'user' | 'staff' | 'service'

/** Who is asking. `from` names the process that vouches for it; a user always has a tenant, staff never. */
export type Caller = {
  kind: CallerKind
  from: string
  tenantId: string | null
  userId: string | null
  roles: readonly string[]
  requestId: string
}

/** A caller that is known to act within a tenant. */
export type TenantCaller = Caller & { tenantId: string }

/** One direction between two processes; each has its own 32-byte key, so no process can speak for another. */
export type Edge = { from: string; to: Tier; key: Buffer }

/** The keys one tier accepts: name of the asking process → key of that edge. */
export type CallerKeys = ReadonlyMap<string, Buffer>

const callerClaims = z
  .object({
    kid: z.string(),
    aud: z.string(),
    kind: z.enum(['user', 'staff', 'service']),
    tenant: z.guid().optional(),
    user: z.guid().optional(),
    roles: z.array(z.string()),
    rid: z.string().max(200),
    exp: z.number().int(),
  })
  .refine((claims) => claims.kind !== 'user' || claims.tenant !== undefined)
  .refine((claims) => claims.kind !== 'staff' || claims.tenant === undefined)

/**
 * Signs `<claims>.<signature>`, both base64url, valid for 30 seconds at the edge's far side only.
 * @param now milliseconds since 1970
 */
export function signCaller(caller: Omit<Caller, 'from'>, edge: Edge, now = Date.now()): string {
  const claims: z.infer<typeof callerClaims> = {
    kid: edge.from,
    aud: edge.to,
    kind: caller.kind,
    ...(caller.tenantId && { tenant: caller.tenantId }),
    ...(caller.userId && { user: caller.userId }),
    roles: [...caller.roles],
    rid: caller.requestId,
    exp: Math.floor(now / 1000) + CALLER_LIFETIME_SECONDS,
  }
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `${body}.${signature(body, edge.key).toString('base64url')}`
}

/**
 * The caller that a header speaks of.
 * @throws AppError UNAUTHENTICATED when it is missing, malformed, expired, signed by another key or for another tier.
 *         The reason stays in `cause`: an outsider learns nothing from the message.
 */
export function verifyCaller(header: string | undefined, keys: CallerKeys, audience: Tier, now = Date.now()): Caller {
  if (!header) throw unauthenticated('no caller header')
  const [body, sealed, ...rest] = header.split('.')
  if (!body || !sealed || rest.length > 0) throw unauthenticated('not two parts')
  const claims = readClaims(body)
  const key = keys.get(claims.kid)
  if (!key) throw unauthenticated(`no key for ${claims.kid}`)
  const expected = signature(body, key)
  const given = Buffer.from(sealed, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw unauthenticated('wrong signature')
  if (claims.aud !== audience) throw unauthenticated(`meant for ${claims.aud}`)
  const seconds = now / 1000
  if (claims.exp < seconds - CALLER_SKEW_SECONDS) throw unauthenticated('expired')
  if (claims.exp > seconds + CALLER_LIFETIME_SECONDS + CALLER_SKEW_SECONDS) throw unauthenticated('lives too long')
  return {
    kind: claims.kind,
    from: claims.kid,
    tenantId: claims.tenant ?? null,
    userId: claims.user ?? null,
    roles: claims.roles,
    requestId: claims.rid,
  }
}

/**
 * Lets a tenant's user pass; with roles named, only one who has any of them.
 * @throws AppError FORBIDDEN
 */
export function requireUser(caller: Caller, ...anyOfRoles: string[]): TenantCaller {
  if (caller.kind !== 'user' || caller.tenantId === null) throw new AppError('FORBIDDEN', "this is for tenants' users")
  requireRole(caller, anyOfRoles)
  return { ...caller, tenantId: caller.tenantId }
}

/**
 * Lets staff pass who have any of the roles named (`support`, `operator`); none named means either.
 * @throws AppError FORBIDDEN
 */
export function requireStaff(caller: Caller, ...anyOfRoles: string[]): Caller {
  if (caller.kind !== 'staff') throw new AppError('FORBIDDEN', 'this is for staff')
  requireRole(caller, anyOfRoles.length > 0 ? anyOfRoles : STAFF_ROLES)
  return caller
}

/**
 * Lets another of our own processes pass; with names given (`worker`, `oltp`, `cli`), only those.
 * @throws AppError FORBIDDEN
 */
export function requireService(caller: Caller, ...anyOfServices: string[]): Caller {
  if (caller.kind !== 'service') throw new AppError('FORBIDDEN', 'this is for services')
  if (anyOfServices.length > 0 && !anyOfServices.includes(caller.from)) {
    throw new AppError('FORBIDDEN', `this is not for the service ${caller.from}`)
  }
  return caller
}

function readClaims(body: string): z.infer<typeof callerClaims> {
  try {
    return callerClaims.parse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')))
  } catch (cause) {
    throw unauthenticated('unreadable claims', cause)
  }
}

function signature(body: string, key: Buffer): Buffer {
  return createHmac('sha256', key).update(body).digest()
}

function unauthenticated(reason: string, cause?: unknown): AppError {
  return new AppError('UNAUTHENTICATED', 'a valid caller header is required', { cause: new Error(reason, { cause }) })
}

function requireRole(caller: Caller, anyOfRoles: readonly string[]) {
  if (anyOfRoles.length > 0 && !anyOfRoles.some((role) => caller.roles.includes(role))) {
    throw new AppError('FORBIDDEN', `this needs the role ${anyOfRoles.join(' or ')}`)
  }
}
