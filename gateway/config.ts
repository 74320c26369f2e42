import { existsSync } from 'node:fs'
import { z } from 'zod'
import { outgoingEdgeSettings, outgoingEdges } from '#platform/caller/edges.ts'
import { httpUrl, listenSettings, port, positiveInteger, redisUrl } from '#platform/config.ts'
import { TIERS } from '#platform/contracts/tiers.ts'
import { trackingKeySettings, trackingKeys } from '#platform/tracking/keys.ts'
import { makeAddressOf } from './callerAddress.ts'
import { LIMITS } from './limits/limits.ts'

const MIB = 1024 * 1024
const production = process.env.NODE_ENV === 'production'

/** The gateway's settings; see the README's table of settings for what each is for. */
export const gatewayConfig = z
  .object({
    ...listenSettings,
    GATEWAY_PORT: port.default(4000),
    /** Public keys that clients' tokens are signed with: a file, or an address that serves them. */
    JWKS_FILE: z.string().refine(existsSync, 'is not there').optional(),
    JWKS_URL: httpUrl.optional(),
    JWT_ISSUER: z.string().default('penguinmails'),
    JWT_AUDIENCE: z.string().default('penguinmails-graph'),
    /** How long one tier may take for one fetch. */
    TIER_TIMEOUT_MS: positiveInteger.default(30_000),
    /** The largest answer of one tier to one fetch. */
    MAX_TIER_ANSWER_BYTES: positiveInteger.default(64 * MIB),
    /** What answers POST /graphql: `lean` is ours alone, `apollo` is Apollo Server over the same pipeline, for its plugins. */
    GATEWAY_FACE: z.enum(['lean', 'apollo']).default('lean'),
    /** A graph of Apollo Studio that requests are reported to, and where its reports are taken if not at Apollo. */
    APOLLO_KEY: z.string().min(1).optional(),
    APOLLO_GRAPH_REF: z.string().min(1).optional(),
    APOLLO_USAGE_REPORTING_INGRESS_URL: httpUrl.optional(),
    /** Room for a 25 MiB mail in base64. */
    MAX_REQUEST_BYTES: positiveInteger.default(40 * MIB),
    /** Origins whose pages may ask from a browser, comma-separated, or *. */
    CORS_ORIGINS: z
      .string()
      .default(production ? '' : '*')
      .transform(listOf),
    /** Proxies before us whose X-Forwarded-For is believed: addresses, ranges, or loopback, linklocal, uniquelocal. */
    TRUSTED_PROXIES: z.string().default('').transform(listOf).refine(areProxies, 'has what is no address or range'),
    /** How long it goes on answering once it has been told to stop, as not ready: until balancers have noticed. */
    GATEWAY_DRAIN_MS: z.coerce.number().int().min(0).max(8_000).default(0),
    EXPLORER: z.stringbool().default(!production),
    /** What clients may ask: `registered` documents of operations/, or `any` within the limits. Staff may ask anything. */
    OPERATIONS: z.enum(['registered', 'any']).default(production ? 'registered' : 'any'),
    /** The most that an operation which is not registered may ask. */
    MAX_OPERATION_DEPTH: positiveInteger.default(LIMITS.depth),
    MAX_OPERATION_FIELDS: positiveInteger.default(LIMITS.fields),
    MAX_OPERATION_ALIASES: positiveInteger.default(LIMITS.aliases),
    MAX_OPERATION_DIRECTIVES: positiveInteger.default(LIMITS.directives),
    MAX_OPERATION_COST: positiveInteger.default(LIMITS.cost),
    /** Requests a minute of one tenant, and from one address. */
    RATE_LIMIT_PER_TENANT: positiveInteger.default(1_000),
    RATE_LIMIT_PER_ADDRESS: positiveInteger.default(5_000),
    /** Streams open at a time of one tenant, and from one address, at each gateway. */
    MAX_STREAMS_PER_TENANT: positiveInteger.default(100),
    MAX_STREAMS_PER_ADDRESS: positiveInteger.default(200),
    /** A client that takes nothing of its stream for so long is hung up on. */
    STREAM_STALL_MS: positiveInteger.default(30_000),
    /** Keeps answers for as long as the schema's @cacheControl allows, for the same tenant and roles. */
    RESPONSE_CACHE: z.stringbool().default(false),
    /** Answers a query that comes while the same user's same query is being answered together with it. */
    DEDUPLICATE_QUERIES: z.stringbool().default(false),
    /** Where gateways count and keep answers together; each for itself without it. */
    REDIS_URL: redisUrl.optional(),
    ...trackingKeySettings,
    ...outgoingEdgeSettings('gateway', TIERS),
  })
  .refine((read) => Boolean(read.JWKS_FILE) !== Boolean(read.JWKS_URL), 'set either JWKS_FILE or JWKS_URL')
  .refine(
    (read) => Boolean(read.APOLLO_KEY) === Boolean(read.APOLLO_GRAPH_REF),
    'APOLLO_KEY and APOLLO_GRAPH_REF belong together',
  )
  .refine(
    (read) => !read.APOLLO_KEY || read.GATEWAY_FACE === 'apollo',
    'usage is reported by Apollo Server: with APOLLO_KEY, set GATEWAY_FACE=apollo',
  )
  .transform((read) => ({
    host: read.HOST,
    port: read.GATEWAY_PORT,
    logLevel: read.LOG_LEVEL,
    tokens: { jwksFile: read.JWKS_FILE, jwksUrl: read.JWKS_URL, issuer: read.JWT_ISSUER, audience: read.JWT_AUDIENCE },
    tierTimeoutMs: read.TIER_TIMEOUT_MS,
    maxAnswerBytes: read.MAX_TIER_ANSWER_BYTES,
    face: read.GATEWAY_FACE,
    reporting:
      read.APOLLO_KEY && read.APOLLO_GRAPH_REF
        ? { key: read.APOLLO_KEY, graphRef: read.APOLLO_GRAPH_REF, endpoint: read.APOLLO_USAGE_REPORTING_INGRESS_URL }
        : undefined,
    maxRequestBytes: read.MAX_REQUEST_BYTES,
    corsOrigins: read.CORS_ORIGINS,
    trustedProxies: read.TRUSTED_PROXIES,
    drainMs: read.GATEWAY_DRAIN_MS,
    explorer: read.EXPLORER,
    operations: read.OPERATIONS,
    limits: {
      depth: read.MAX_OPERATION_DEPTH,
      fields: read.MAX_OPERATION_FIELDS,
      aliases: read.MAX_OPERATION_ALIASES,
      directives: read.MAX_OPERATION_DIRECTIVES,
      cost: read.MAX_OPERATION_COST,
    },
    rates: { redisUrl: read.REDIS_URL, perTenant: read.RATE_LIMIT_PER_TENANT, perAddress: read.RATE_LIMIT_PER_ADDRESS },
    sharing: { cache: read.RESPONSE_CACHE, inFlight: read.DEDUPLICATE_QUERIES, redisUrl: read.REDIS_URL },
    streams: { perTenant: read.MAX_STREAMS_PER_TENANT, perAddress: read.MAX_STREAMS_PER_ADDRESS },
    streamStallMs: read.STREAM_STALL_MS,
    trackingKeys: trackingKeys(read),
    tiers: outgoingEdges('gateway', TIERS, read),
  }))

export type GatewayConfig = z.output<typeof gatewayConfig>

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}

function areProxies(proxies: string[]): boolean {
  try {
    makeAddressOf(proxies)
    return true
  } catch {
    return false
  }
}
