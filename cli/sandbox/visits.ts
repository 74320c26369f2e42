import { UNSUBSCRIBE_PATH } from '#platform/tracking/links.ts'
import { pickOne, throwDice } from './dice.ts'
import type { ReactionEnd } from './ledger.ts'
import type { ReceivedMail } from './receivedMail.ts'

/** Thrown when nobody answered: then it is worth another attempt. */
export class NobodyThere extends Error {}

const BROWSER =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15'
/** All that Apple's proxy says of itself. */
const APPLE_PROXY = 'Mozilla/5.0'
const SCANNER = 'Mozilla/5.0 (compatible; Mimecast-Link-Scanner/2.1)'
const PREFETCH = { purpose: 'prefetch', 'sec-purpose': 'prefetch' }
const TIMEOUT_MS = 10_000

/** Visits what stands in mails: addresses of one origin, and no other. */
export class Visitor {
  readonly #origin: string
  readonly #seed: string

  /** @param origin of the platform's gateway: `http://127.0.0.1:4000` */
  constructor(origin: string, seed: string) {
    this.#origin = new URL(origin).origin
    this.#seed = seed
  }

  /** A person looks at the mail. */
  open = (mail: ReceivedMail) => this.#visitAll(mail.images, { 'user-agent': BROWSER })

  /** The provider fetches pictures so that the sender does not learn who looks. */
  proxyOpen = (mail: ReceivedMail) => this.#visitAll(mail.images, { 'user-agent': APPLE_PROXY })

  /** The mail program fetches pictures before anybody looks. */
  prefetch = (mail: ReceivedMail) => this.#visitAll(mail.images, { 'user-agent': BROWSER, ...PREFETCH })

  /** A filter looks at everything, the way to unsubscribe as well. */
  scan = (mail: ReceivedMail) => this.#visitAll([...mail.images, ...mail.links], { 'user-agent': SCANNER })

  /** A person follows one of the links that do not unsubscribe. */
  click(mail: ReceivedMail): Promise<ReactionEnd> {
    const links = this.#ours(mail.links).filter((url) => !new URL(url).pathname.startsWith(UNSUBSCRIBE_PATH))
    const dice = throwDice(this.#seed, 'link', mail.recipient, mail.messageId ?? '')
    return this.#visitAll(links.length === 0 ? [] : [pickOne(dice, links)], { 'user-agent': BROWSER })
  }

  /** The mail program unsubscribes at one click (RFC 8058). */
  async unsubscribe({ oneClickUrl }: ReceivedMail): Promise<ReactionEnd> {
    const [url] = this.#ours(oneClickUrl ? [oneClickUrl] : [])
    if (!url) return 'impossible'
    return this.#visit(url, {
      method: 'POST',
      headers: { 'user-agent': BROWSER, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'List-Unsubscribe=One-Click',
    })
  }

  async #visitAll(urls: readonly string[], headers: Record<string, string>): Promise<ReactionEnd> {
    const ours = this.#ours(urls)
    if (ours.length === 0) return 'impossible'
    const ends = await Promise.all(ours.map((url) => this.#visit(url, { headers })))
    return ends.includes('refused') ? 'refused' : 'done'
  }

  async #visit(url: string, init: RequestInit): Promise<'done' | 'refused'> {
    let answer: Response
    try {
      // Where the platform leads on to is the world outside.
      answer = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) })
      await answer.arrayBuffer()
    } catch (cause) {
      throw new NobodyThere(`no answer from ${this.#origin}`, { cause })
    }
    if (answer.status >= 500 || answer.status === 429) throw new NobodyThere(`${answer.status} from ${this.#origin}`)
    return answer.status >= 400 ? 'refused' : 'done'
  }

  #ours(urls: readonly string[]): string[] {
    return urls.filter((url) => URL.canParse(url) && new URL(url).origin === this.#origin)
  }
}
