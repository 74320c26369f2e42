import { pickShare, spread, throwDice } from './dice.ts'
import type { Rates } from './rates.ts'

// What the world does with a mail, decided from the seed and the mail alone: no clock, no state, no chance.

/** How a recipient's server answers at the door. */
export type Reception =
  /** Takes the mail. */
  | 'accept'
  /** 451 to a sender it sees for the first time, then takes the mail. */
  | 'greylist'
  /** 550: there is no such recipient. */
  | 'refuse'
  /** 450, always. */
  | 'defer'
  /** Never answers RCPT. */
  | 'hang'
  /** Takes the mail's bytes and never says what became of them. */
  | 'hangData'
  /** Hangs up in the middle of the mail. */
  | 'dropData'
  /** Takes the mail and hangs up instead of saying so. */
  | 'dropAccepted'
  /** 554 to the whole mail. */
  | 'rejectData'

/** What happens to a mail after it was taken, and what its recipient does. */
export const REACTIONS = [
  'hardBounce',
  'softBounce',
  'proxyOpen',
  'prefetch',
  'scan',
  'open',
  'click',
  'autoReply',
  'reply',
  'complaint',
  'unsubscribe',
] as const
export type ReactionKind = (typeof REACTIONS)[number]

/** A reaction and when it comes: milliseconds of business time after the mail was taken. */
export type Reaction = { kind: ReactionKind; afterMs: number }

export type Plan = {
  fate: 'delivered' | 'hardBounce' | 'softBounce'
  /** How late it arrives; 0 for at once. */
  delayMs: number
  /** In the order in which they come. */
  reactions: Reaction[]
}

/** A mail as the dice see it. */
export type PlannedMail = {
  recipient: string
  /** Tells the recipient's mails apart, the same way in every run. */
  key: string
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Local parts (up to a `+`) that force how the server answers: `hang@…`, `greylist+2@…`. */
const FORCED_RECEPTIONS: Readonly<Record<string, Reception>> = {
  greylist: 'greylist',
  refuse: 'refuse',
  defer: 'defer',
  hang: 'hang',
  hangdata: 'hangData',
  dropdata: 'dropData',
  dropaccepted: 'dropAccepted',
  rejectdata: 'rejectData',
}

/** Local parts that force what becomes of a mail. Whoever answers has read it before. */
const FORCED_REACTIONS: Readonly<Record<string, readonly ReactionKind[]>> = {
  deliver: [],
  delay: ['open'],
  hardbounce: ['hardBounce'],
  softbounce: ['softBounce'],
  open: ['open'],
  proxy: ['proxyOpen'],
  prefetch: ['prefetch'],
  scan: ['scan'],
  click: ['open', 'click'],
  reply: ['open', 'reply'],
  autoreply: ['autoReply'],
  complain: ['open', 'complaint'],
  unsubscribe: ['open', 'unsubscribe'],
}

/** How a recipient's server answers: always the same way, as servers do. */
export function decideReception(seed: string, recipient: string, rates: Rates): Reception {
  const word = forcingWord(recipient)
  const forced = FORCED_RECEPTIONS[word]
  if (forced) return forced
  // Who forces what becomes of a mail wants it to be taken.
  if (FORCED_REACTIONS[word]) return 'accept'
  const thrown = throwDice(seed, 'reception', recipient)
  return pickShare(thrown, [['refuse', rates.refuse] as const, ['greylist', rates.greylist] as const]) ?? 'accept'
}

/** What becomes of a mail that was taken. */
export function planMail(seed: string, mail: PlannedMail, rates: Rates): Plan {
  const { recipient, key } = mail
  const dice = (what: string) => throwDice(seed, what, recipient, key)
  const word = forcingWord(recipient)
  const forced = FORCED_REACTIONS[word] ?? (FORCED_RECEPTIONS[word] ? [] : null)
  const kinds = forced ?? chooseReactions(seed, mail, rates)
  const bounce = kinds.find((kind) => kind === 'hardBounce' || kind === 'softBounce')
  if (bounce) return { fate: bounce, delayMs: 0, reactions: [{ kind: bounce, afterMs: timeOf[bounce](dice(bounce)) }] }
  const isLate = forced ? word === 'delay' : dice('delay') < rates.delay
  const delayMs = isLate ? spread(dice('lateness'), 20 * MINUTE, 6 * HOUR) : 0
  return { fate: 'delivered', delayMs, reactions: timeReactions(kinds, delayMs, dice) }
}

function chooseReactions(seed: string, { recipient, key }: PlannedMail, rates: Rates): ReactionKind[] {
  const dice = (what: string) => throwDice(seed, what, recipient, key)
  const bounce = pickShare(dice('fate'), [
    ['hardBounce', rates.hardBounce] as const,
    ['softBounce', rates.softBounce] as const,
  ])
  if (bounce) return [bounce]
  // A recipient's mail program is the same for all mails.
  const provider = pickShare(throwDice(seed, 'provider', recipient), [
    ['proxyOpen', rates.proxy] as const,
    ['prefetch', rates.prefetch] as const,
    ['scan', rates.scanner] as const,
  ])
  const answer = pickShare(dice('answer'), [
    ['reply', rates.reply] as const,
    ['complaint', rates.complaint] as const,
    ['unsubscribe', rates.unsubscribe] as const,
  ])
  const answering = rates.reply + rates.complaint + rates.unsubscribe
  // Those who answer are among those who read, so that these are as many as they should be.
  const readsOtherwise = answering < 1 ? (rates.open - answering) / (1 - answering) : 0
  const isRead = answer !== null || dice('open') < readsOtherwise
  return [
    ...(provider ? [provider] : []),
    ...(dice('autoReply') < rates.autoReply ? (['autoReply'] as const) : []),
    ...(isRead && provider !== 'proxyOpen' ? (['open'] as const) : []),
    ...(isRead && dice('click') < rates.click ? (['click'] as const) : []),
    ...(answer ? [answer] : []),
  ]
}

/** How long each takes: machines after the mail arrived, people after they read it. */
const timeOf: Record<ReactionKind, (thrown: number) => number> = {
  hardBounce: (thrown) => spread(thrown, 5 * SECOND, 30 * MINUTE),
  softBounce: (thrown) => spread(thrown, 30 * MINUTE, 24 * HOUR),
  scan: (thrown) => spread(thrown, SECOND, 4 * SECOND),
  prefetch: (thrown) => spread(thrown, SECOND, 4 * SECOND),
  proxyOpen: (thrown) => spread(thrown, 30 * SECOND, 3 * HOUR),
  autoReply: (thrown) => spread(thrown, 2 * SECOND, MINUTE),
  open: (thrown) => spread(thrown, 2 * MINUTE, 30 * HOUR),
  click: (thrown) => spread(thrown, 10 * SECOND, 5 * MINUTE),
  reply: (thrown) => spread(thrown, 6 * MINUTE, 8 * HOUR),
  complaint: (thrown) => spread(thrown, 6 * MINUTE, 30 * MINUTE),
  unsubscribe: (thrown) => spread(thrown, 6 * MINUTE, 20 * MINUTE),
}
const AFTER_READING: ReadonlySet<ReactionKind> = new Set(['click', 'reply', 'complaint', 'unsubscribe'])

function timeReactions(kinds: readonly ReactionKind[], delayMs: number, dice: (what: string) => number): Reaction[] {
  const readMs = delayMs + timeOf.open(dice('open time'))
  const reactions = kinds.map((kind) => {
    if (kind === 'open') return { kind, afterMs: readMs }
    return { kind, afterMs: (AFTER_READING.has(kind) ? readMs : delayMs) + timeOf[kind](dice(`${kind} time`)) }
  })
  return reactions.sort((a, b) => a.afterMs - b.afterMs)
}

function forcingWord(recipient: string): string {
  return (recipient.split('@')[0] ?? '').split('+')[0] ?? ''
}
