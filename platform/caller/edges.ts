import type { z } from 'zod'
import { key32 } from '#platform/config.ts'
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
  ['queue', 'queue'],
  ['cli', 'oltp'],
  ['cli', 'content'],
  ['cli', 'analytics'],
  ['cli', 'queue'],
] as const satisfies readonly (readonly [string, Tier])[]

/** Edges that only development tools use: their key may be left out, and nothing is accepted through them then. */
const OPTIONAL_SENDERS: readonly string[] = ['cli']

/** The setting that holds an edge's key: `CALLER_KEY_GATEWAY_OLTP`. */
export function callerKeyName(from: string, to: Tier): string {
  return `CALLER_KEY_${from.toUpperCase()}_${to.toUpperCase()}`
}

/** Settings that hold the keys of everyone who may ask this tier; to be spread into the tier's schema. */
export function incomingKeySettings(tier: Tier): Record<string, z.ZodType<Buffer | undefined, string | undefined>> {
  return Object.fromEntries(
    sendersTo(tier).map((from) => [
      callerKeyName(from, tier),
      OPTIONAL_SENDERS.includes(from) ? key32.optional() : key32,
    ]),
  )
}

/** Settings that hold the keys for asking other tiers. */
export function outgoingKeySettings(from: string, ...to: Tier[]): Record<string, typeof key32> {
  return Object.fromEntries(to.map((tier) => [callerKeyName(from, tier), key32]))
}

/** The keys of `incomingKeySettings`, by sender. */
export function incomingKeys(tier: Tier, settings: Record<string, unknown>): CallerKeys {
  const keys = new Map<string, Buffer>()
  for (const from of sendersTo(tier)) {
    const key = settings[callerKeyName(from, tier)]
    if (key instanceof Buffer) keys.set(from, key)
  }
  return keys
}

/**
 * The edge of `outgoingKeySettings` that leads to a tier.
 * @throws Error when the settings hold no such key (a fault of the program, not of the settings)
 */
export function outgoingEdge(from: string, to: Tier, settings: Record<string, unknown>): Edge {
  const key = settings[callerKeyName(from, to)]
  if (!(key instanceof Buffer)) throw new Error(`no key for the edge ${from} → ${to}`)
  return { from, to, key }
}

function sendersTo(tier: Tier): string[] {
  return EDGES.filter(([, to]) => to === tier).map(([from]) => from)
}
