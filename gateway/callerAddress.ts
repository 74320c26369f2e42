import type { IncomingMessage } from 'node:http'
import { default as addressBehind, compile } from '@fastify/proxy-addr'

/** The address a request came from. */
export type AddressOf = (request: IncomingMessage) => string | undefined

/**
 * Reads the caller's address from `X-Forwarded-For` as far as trusted proxies (addresses, ranges, or `loopback`,
 * `linklocal`, `uniquelocal`) have written it: what anybody else says there is not believed.
 */
export function makeAddressOf(trustedProxies: readonly string[]): AddressOf {
  if (trustedProxies.length === 0) return ({ socket }) => socket.remoteAddress
  const isTrusted = compile([...trustedProxies])
  return (request) => addressBehind(request, isTrusted)
}
