import { z } from 'zod'
import { httpUrl, key32 } from '#platform/config.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import type { CallerKeys, Edge } from './caller.ts'

/** Who may ask whom: every edge has a key of its own, held by its two ends alone. */
export const EDGES = [
  ['gateway', 'oltp'],
  ['gateway', 'content'],
  ['gateway', 'analytics'],
  ['gateway', 'queue'],
  ['worker', 'oltp'],
  ['worker', 'content'],
  ['worker', 'analytics'],
  ['oltp', 'content'],
  ['oltp', 'queue'],
  ['content', 'queue'],
  ['analytics', 'queue'],
  ['cli', 'oltp'],
  ['cli', 'content'],
  ['cli', 'analytics'],
  ['cli', 'queue'],
] as const satisfies readonly (readonly [string, Tier])[]

/** Development tools: a tier that is given no key for them simply accepts nothing from them. */
const OPTIONAL_SENDERS: readonly string[] = ['cli']

/** An edge together with the address at its far end. */
export type ServiceEdge = Edge & { url: string }

/** The setting that holds an edge's key: `CALLER_KEY_GATEWAY_OLTP`. */
export function callerKeyName(from: string, to: Tier): string {
  return `CALLER_KEY_${from.toUpperCase()}_${to.toUpperCase()}`
}

/** The setting that holds a tier's address: `OLTP_URL`. */
export function tierUrlName(tier: Tier): string {
  return `${tier.toUpperCase()}_URL`
}

/** Settings with the keys of everyone who may ask this tier. */
export function incomingEdgeSettings(tier: Tier): Record<string, z.ZodType> {
  return Object.fromEntries(
    sendersTo(tier).map((from) => [
      callerKeyName(from, tier),
      OPTIONAL_SENDERS.includes(from) ? key32.optional() : key32,
    ]),
  )
}

/** The keys read by `incomingEdgeSettings`, by sender. */
export function incomingKeys(tier: Tier, settings: Record<string, unknown>): CallerKeys {
  const keys = new Map<string, Buffer>()
  for (const from of sendersTo(tier)) {
    const key = settings[callerKeyName(from, tier)]
    if (key instanceof Buffer) keys.set(from, key)
  }
  return keys
}

/** The settings of `outgoingEdgeSettings`, by name. */
type OutgoingSettings<From extends string, Asked extends Tier> = {
  [To in Asked as `CALLER_KEY_${Uppercase<From>}_${Uppercase<To>}`]: typeof key32
} & { [To in Asked as `${Uppercase<To>}_URL`]: typeof httpUrl }

/** Settings with key and address of each tier that a process asks. */
export function outgoingEdgeSettings<const From extends string, const Asked extends Tier>(
  from: From,
  tiers: readonly Asked[],
): OutgoingSettings<From, Asked> {
  const settings = tiers.flatMap((to) => [
    [callerKeyName(from, to), key32],
    [tierUrlName(to), httpUrl],
  ])
  return Object.fromEntries(settings)
}

/** The edges read by `outgoingEdgeSettings`, by tier. */
export function outgoingEdges<Asked extends Tier>(
  from: string,
  tiers: readonly Asked[],
  settings: Record<string, unknown>,
): Record<Asked, ServiceEdge> {
  const edge = z.object({ key: z.instanceof(Buffer), url: z.string() })
  const entries = tiers.map((to) => {
    const { key, url } = edge.parse({ key: settings[callerKeyName(from, to)], url: settings[tierUrlName(to)] })
    return [to, { from, to, key, url }]
  })
  return Object.fromEntries(entries)
}

function sendersTo(tier: Tier): string[] {
  return EDGES.filter(([, to]) => to === tier).map(([from]) => from)
}
