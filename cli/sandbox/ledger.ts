import type { ReactionKind, Reception } from './behaviours.ts'

/** How a reaction ended; `refused`: the platform does not want it (5xx, 4xx of HTTP), `impossible`: the mail offers no way. */
export type ReactionEnd = 'done' | 'refused' | 'failed' | 'impossible'

type Counts<Name extends string> = Partial<Record<Name, number>>

/** What happened to one recipient, or to all. */
export type Account = {
  /** Mails taken; a mail that came again is counted in `repeats` alone. */
  mails: number
  repeats: number
  /** Answers of the server other than taking the mail at once. */
  receptions: Counts<Reception>
  fates: Counts<'delivered' | 'hardBounce' | 'softBounce'>
  planned: Counts<ReactionKind>
  reactions: Record<ReactionEnd, Counts<ReactionKind>>
}

/** Counts what the world did, in all and for each recipient: what a test holds against what the platform says. */
export class Ledger {
  readonly #total = makeAccount()
  readonly #recipients = new Map<string, Account>()

  countReception(recipient: string, reception: Exclude<Reception, 'accept'>): void {
    this.#write(recipient, ({ receptions }) => increase(receptions, reception))
  }

  countRepeat(recipient: string): void {
    this.#write(recipient, (account) => {
      account.repeats += 1
    })
  }

  countMail(recipient: string, fate: keyof Account['fates'], planned: readonly ReactionKind[]): void {
    this.#write(recipient, (account) => {
      account.mails += 1
      increase(account.fates, fate)
      for (const kind of planned) increase(account.planned, kind)
    })
  }

  countReaction(recipient: string, kind: ReactionKind, end: ReactionEnd): void {
    this.#write(recipient, ({ reactions }) => increase(reactions[end], kind))
  }

  read(recipient?: string) {
    const one =
      recipient === undefined ? [...this.#recipients] : [[recipient, this.#recipients.get(recipient)] as const]
    return { total: this.#total, recipients: Object.fromEntries(one.filter(([, account]) => account !== undefined)) }
  }

  #write(recipient: string, write: (account: Account) => void): void {
    const own = this.#recipients.get(recipient) ?? makeAccount()
    this.#recipients.set(recipient, own)
    write(own)
    write(this.#total)
  }
}

function makeAccount(): Account {
  return {
    mails: 0,
    repeats: 0,
    receptions: {},
    fates: {},
    planned: {},
    reactions: { done: {}, refused: {}, failed: {}, impossible: {} },
  }
}

function increase<Name extends string>(counts: Counts<Name>, name: Name): void {
  counts[name] = (counts[name] ?? 0) + 1
}
