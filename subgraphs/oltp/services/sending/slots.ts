import { createHash } from 'node:crypto'
import type { Span } from './window.ts'

/** A mailbox that has little to send does not take all day for it. */
export const LONGEST_GAP_MS = 15 * 60_000

/** Two mails of a mailbox are on average no closer than this. */
export const SHORTEST_GAP_MS = 10_000

/** Mails that fit into a span at a decent distance. */
export function slotsIn({ from, to }: Span): number {
  return Math.max(0, Math.floor((to.getTime() - from.getTime()) / SHORTEST_GAP_MS))
}

/**
 * `count` times within a span for one mailbox: each at a random place within its own share of the span, so that it looks
 * like a person and is no burst. Mails that wait already have the first shares; when those are all taken it begins anew
 * with the first, so that mails planned one by one lie as far apart as if they had been planned together.
 * The same for the same seed; in ascending order; whole milliseconds.
 * @param waiting mails that were planned for this mailbox before, and have not left
 */
export function spreadSlots(
  count: number,
  { from, to }: Span,
  { waiting, seed }: { waiting: number; seed: string },
): Date[] {
  const length = Math.max(0, to.getTime() - from.getTime())
  const shares = Math.max(count, Math.ceil(length / LONGEST_GAP_MS))
  const roll = makeRoll(seed)
  return Array.from({ length: count }, (_, index) => ((waiting + index) % shares) + roll())
    .sort((a, b) => a - b)
    .map((place) => new Date(from.getTime() + Math.floor(place * (length / shares))))
}

/** Numbers from 0 (included) to 1 (excluded), the same for the same seed (mulberry32). */
function makeRoll(seed: string): () => number {
  let state = createHash('sha256').update(seed).digest().readUInt32BE(0)
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
