import type { Caller } from '#platform/caller/caller.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import { type Log, logForCaller } from '#platform/log.ts'
import type { FetchTraces } from '../reporting/fetchTraces.ts'

/** One client request on its way through the gateway. */
export type GatewayContext = {
  caller: Omit<Caller, 'from'>
  /** Signed caller headers of this request, one per tier. */
  signed: Map<Tier, { header: string; signedAt: number }>
  log: Log
  /** When the token that named the caller expires; milliseconds since 1970. */
  expiresAt: number
  /** What its fetches tell of themselves, where that is reported. */
  traces?: FetchTraces | undefined
}

export function makeContext(caller: Omit<Caller, 'from'>, log: Log, expiresAt: number): GatewayContext {
  let own: Log | undefined
  return {
    caller,
    signed: new Map(),
    expiresAt,
    // Most requests have nothing to log: only those that do pay for a log of their own.
    get log() {
      own ??= logForCaller(log, { ...caller, from: 'gateway' })
      return own
    },
  }
}
