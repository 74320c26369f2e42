import { createHmac, timingSafeEqual } from 'node:crypto'
import type { TrackingKey, TrackingKeys } from './keys.ts'

/** The mail that a token was put into. */
export type TrackedMail = { tenantId: string; messageId: string }

/** What a token in a mail's link says. A click carries its target, so that whoever answers it need ask nobody. */
export type TrackingToken = TrackedMail &
  ({ kind: 'open' } | { kind: 'unsubscribe' } | { kind: 'click'; linkIndex: number; url: string })

export type TrackingKind = TrackingToken['kind']

/** Longest target that is tracked: its token still fits where clients and servers cut off. */
export const MAX_TARGET_BYTES = 2_048

/** Longest text that can be a token. */
export const MAX_TOKEN_LENGTH = 3_000

const VERSION = 1
const KINDS = ['open', 'click', 'unsubscribe'] as const

// version and kind, key's name, tenant, message; then a click's link and target; then the seal.
const KID_AT = 1
const TENANT_AT = 2
const MESSAGE_AT = 18
const HEAD_BYTES = 34
const LINK_BYTES = 2
const SEAL_BYTES = 16

/**
 * Signs a token: some 70 characters of base64url, a click's longer by its target. It is sealed, not secret.
 * @param token a click's `url` at most `MAX_TARGET_BYTES` long, its `linkIndex` below 65,536
 */
export function signToken(token: TrackingToken, keys: TrackingKeys): string {
  const [signing] = keys
  const target = token.kind === 'click' ? Buffer.from(token.url) : null
  const body = Buffer.alloc(HEAD_BYTES + (target ? LINK_BYTES + target.length : 0))
  body.writeUInt8((VERSION << 4) | KINDS.indexOf(token.kind))
  body.writeUInt8(signing.kid, KID_AT)
  body.write(hexOf(token.tenantId), TENANT_AT, 'hex')
  body.write(hexOf(token.messageId), MESSAGE_AT, 'hex')
  if (token.kind === 'click') {
    body.writeUInt16BE(token.linkIndex, HEAD_BYTES)
    target?.copy(body, HEAD_BYTES + LINK_BYTES)
  }
  return Buffer.concat([body, seal(body, signing)]).toString('base64url')
}

/** What a token says if it is of this kind and one of the keys sealed it; else null, whatever was sent. */
export function readToken<Kind extends TrackingKind>(
  text: string,
  kind: Kind,
  keys: TrackingKeys,
): Extract<TrackingToken, { kind: Kind }> | null {
  if (text.length > MAX_TOKEN_LENGTH) return null
  const bytes = Buffer.from(text, 'base64url')
  // Node skips what is no base64url: one token has one spelling.
  if (bytes.length < HEAD_BYTES + SEAL_BYTES || bytes.toString('base64url') !== text) return null
  const body = bytes.subarray(0, bytes.length - SEAL_BYTES)
  const sealed = bytes.subarray(bytes.length - SEAL_BYTES)
  const isGenuine = keys.some((key) => key.kid === body.readUInt8(KID_AT) && timingSafeEqual(seal(body, key), sealed))
  if (!isGenuine || body.readUInt8(0) !== ((VERSION << 4) | KINDS.indexOf(kind))) return null
  const mail = { tenantId: uuidAt(body, TENANT_AT), messageId: uuidAt(body, MESSAGE_AT) }
  const target = body.subarray(HEAD_BYTES)
  const click = kind === 'click' && {
    linkIndex: target.readUInt16BE(0),
    url: target.subarray(LINK_BYTES).toString('utf8'),
  }
  return { kind, ...mail, ...click } as Extract<TrackingToken, { kind: Kind }>
}

function seal(body: Buffer, { key }: TrackingKey): Buffer {
  return createHmac('sha256', key).update(body).digest().subarray(0, SEAL_BYTES)
}

function hexOf(uuid: string): string {
  return uuid.replaceAll('-', '')
}

function uuidAt(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at, at + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
