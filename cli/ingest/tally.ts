/** Mails understood in part are many in any real mailbox (undeclared charsets); the graph tells all by parseStatus. */
const PARTIAL_SHOWN = 5

/** What became of the mails of one run; prints as the run's summary. */
export class Tally {
  accepted = 0
  duplicates = 0
  readonly rejected: { name: string; reason: string }[] = []
  readonly unparsed: string[] = []
  readonly partial: string[] = []

  get total(): number {
    return this.accepted + this.duplicates + this.rejected.length
  }

  record(name: string, outcome: { duplicate: boolean; message: { parseStatus: string } }): void {
    if (outcome.duplicate) this.duplicates++
    else this.accepted++
    if (outcome.message.parseStatus === 'UNPARSED') this.unparsed.push(name)
    if (outcome.message.parseStatus === 'PARTIAL') this.partial.push(name)
  }

  reject(name: string, reason: string): void {
    this.rejected.push({ name, reason })
  }

  /** The summary as lines: counts first, then every mail that needs a person's eye, by name. */
  summary(seconds: number): string[] {
    const rate = seconds > 0 ? ` (${(this.total / seconds).toFixed(0)} mails/s)` : ''
    return [
      `accepted    ${this.accepted}`,
      `duplicates  ${this.duplicates}`,
      `rejected    ${this.rejected.length}`,
      `in ${seconds.toFixed(1)} s${rate}`,
      ...named('kept raw, not understood', this.unparsed),
      ...named(
        `understood in part (an undeclared charset, a part cut off; parseStatus PARTIAL): ${this.partial.length}, among them`,
        this.partial.slice(0, PARTIAL_SHOWN),
      ),
      ...named(
        'rejected',
        this.rejected.map(({ name, reason }) => `${name}: ${reason}`),
      ),
    ]
  }
}

function named(title: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${title}:`, ...names.map((name) => `  ${name}`)]
}
