/** A mail as it was taken. */
export type KeptMail = {
  recipient: string
  sender: string
  messageId: string | null
  subject: string
  /** Business time. */
  receivedAt: Date
  /** Whether it had been taken before. */
  isRepeat: boolean
  raw: Buffer
}

const MAX_MAILS = 5_000
const MAX_BYTES = 64 * 1024 * 1024

/** The last mails, as they came: to be looked at. */
export class RecentMails {
  readonly #mails: KeptMail[] = []
  #bytes = 0

  keep(mail: KeptMail): void {
    this.#mails.push(mail)
    this.#bytes += mail.raw.length
    while (this.#mails.length > MAX_MAILS || this.#bytes > MAX_BYTES) {
      this.#bytes -= this.#mails.shift()?.raw.length ?? 0
    }
  }

  /** Newest first. */
  list(recipient: string | undefined, last: number): KeptMail[] {
    const wanted = recipient === undefined ? this.#mails : this.#mails.filter((mail) => mail.recipient === recipient)
    return wanted.slice(-last).reverse()
  }
}
