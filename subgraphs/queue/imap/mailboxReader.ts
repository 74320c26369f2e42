import { ImapFlow } from 'imapflow'
import { imapSecretPath, type MailServer, readMailServer } from '#platform/contracts/mailServers.ts'
import { AppError } from '#platform/errors.ts'
import type { Vault } from '#platform/vault.ts'
import { type FindServer, ServerForbidden, type ServerPlace } from '../mailServerPlace.ts'

/** A mailbox to be looked into, and how far its folder was read. */
export type MailboxToRead = {
  email: string
  vaultKeyPath: string | null
  imapSettings: unknown
  folder: string
  /** The server's mark for its numbering when it was read last; null before the first look. */
  uidValidity: bigint | null
  lastUid: bigint
}

/** Mails fetched from a folder, oldest first; everything up to `lastUid` is among them or was there before. */
export type FetchedMails = { uidValidity: bigint; lastUid: bigint; mails: { uid: bigint; raw: Buffer }[] }

/** What a mailbox cannot be read for: its password is not accepted, or nothing says how to reach it. Waiting won't help. */
export class MailboxRefused extends Error {}

export type ImapTimeouts = { connect: number; greeting: number; silence: number; whole: number }

/** The line is silent, too, while what came over it is stored. */
export const IMAP_TIMEOUTS: ImapTimeouts = { connect: 10_000, greeting: 15_000, silence: 120_000, whole: 300_000 }

/** Mails of one look, so that one mailbox keeps no other waiting; the rest comes with the next. */
const MAILS_PER_LOOK = 500
const MAILS_PER_BATCH = 20
const BYTES_PER_BATCH = 16 * 1024 * 1024

/** How far back the first look goes, and one after the server has numbered the folder anew. */
const FIRST_LOOK_MS = 30 * 86_400_000

type ReadOptions = {
  /** Stores what was fetched; only when it has is the next batch fetched. */
  take: (batch: FetchedMails) => Promise<void>
  signal: AbortSignal
}

/** Reads new mail out of mailboxes by IMAP. Nothing is changed there: no mail is marked as seen. */
export class MailboxReader {
  readonly #vault: Vault
  readonly #timeouts: ImapTimeouts
  readonly #maxBytes: number
  readonly #findServer: FindServer

  /** @param options `maxBytes`: larger mails are passed over */
  constructor({
    vault,
    findServer,
    timeouts = IMAP_TIMEOUTS,
    maxBytes = 25 * 1024 * 1024,
  }: {
    vault: Vault
    findServer: FindServer
    timeouts?: ImapTimeouts
    maxBytes?: number
  }) {
    this.#vault = vault
    this.#findServer = findServer
    this.#timeouts = timeouts
    this.#maxBytes = maxBytes
  }

  /**
   * Hands over what came into a mailbox since it was read last, in batches; at least one, empty if there is nothing new.
   * @throws MailboxRefused; Error when the server is away, silent or breaks off; whatever `take` throws
   */
  async read(mailbox: MailboxToRead, { take, signal }: ReadOptions): Promise<void> {
    const server = readMailServer(mailbox.imapSettings)
    if (!server) throw new MailboxRefused('the settings do not say how to reach its IMAP server')
    const client = await this.#connect(server, mailbox)
    const leave = () => client.close()
    const timer = setTimeout(leave, this.#timeouts.whole)
    signal.addEventListener('abort', leave, { once: true })
    try {
      signal.throwIfAborted()
      await this.#readFolder(client, mailbox, take)
      await client.logout()
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', leave)
      client.close()
    }
  }

  async #connect({ host, port, secure, user }: MailServer, mailbox: MailboxToRead): Promise<ImapFlow> {
    const pass = await this.#findPassword(mailbox.vaultKeyPath)
    const { connect, greeting, silence } = this.#timeouts
    const { address, servername, isInside } = await this.#find(host)
    const client = new ImapFlow({
      ...{ host: address, port, secure, ...(servername && { servername }), logger: false },
      auth: { user: user ?? mailbox.email, pass },
      // Whoever stands between could leave the offer of STARTTLS out, and read the password.
      ...(!secure && !isInside && { doSTARTTLS: true }),
      ...{ connectionTimeout: connect, greetingTimeout: greeting, socketTimeout: silence, disableAutoIdle: true },
    })
    // What breaks a connection fails the command that waits for it; without a listener it would also end the process.
    client.on('error', () => {})
    try {
      await client.connect()
    } catch (error) {
      client.close()
      if (isRefusal(error)) throw new MailboxRefused(answerOf(error))
      throw new Error(answerOf(error), { cause: error })
    }
    return client
  }

  async #find(host: string): Promise<ServerPlace> {
    try {
      return await this.#findServer(host)
    } catch (error) {
      throw error instanceof ServerForbidden ? new MailboxRefused(error.message) : error
    }
  }

  async #findPassword(vaultKeyPath: string | null): Promise<string> {
    if (vaultKeyPath === null) throw new MailboxRefused('nothing says where its password is')
    for (const path of [imapSecretPath(vaultKeyPath), vaultKeyPath]) {
      try {
        return await this.#vault.read(path)
      } catch (error) {
        if (!(error instanceof AppError) || error.code === 'UNAVAILABLE') throw error
      }
    }
    throw new MailboxRefused('the vault has no password of it')
  }

  async #readFolder(client: ImapFlow, mailbox: MailboxToRead, take: ReadOptions['take']): Promise<void> {
    const opened = await client.mailboxOpen(mailbox.folder, { readOnly: true })
    const { uidValidity, uidNext } = opened
    const isKnown = mailbox.uidValidity !== null && BigInt(mailbox.uidValidity) === uidValidity
    const uids = await findUids(client, isKnown ? BigInt(mailbox.lastUid) : null)
    const some = uids.slice(0, MAILS_PER_LOOK)
    // Numbers that mails had which are gone, or too old for the first look, are not looked at again.
    const seen =
      uids.length > some.length ? BigInt(some.at(-1) ?? 0) : BigInt(Math.max((uidNext ?? 1) - 1, some.at(-1) ?? 0))
    for await (const uidsOfBatch of this.#batches(client, some)) {
      const mails = await fetchMails(client, uidsOfBatch.fitting)
      await take({ uidValidity, lastUid: BigInt(uidsOfBatch.last), mails })
    }
    const lastUid = isKnown && BigInt(mailbox.lastUid) > seen ? BigInt(mailbox.lastUid) : seen
    await take({ uidValidity, lastUid, mails: [] })
  }

  /** Numbers of mails that are small enough to be fetched together, too large ones left out. */
  async *#batches(client: ImapFlow, uids: readonly number[]): AsyncGenerator<{ fitting: number[]; last: number }> {
    for (let from = 0; from < uids.length; from += MAILS_PER_BATCH) {
      const sizes = new Map<number, number>()
      const asked = uids.slice(from, from + MAILS_PER_BATCH)
      for await (const { uid, size } of client.fetch(asked.join(','), { uid: true, size: true }, { uid: true })) {
        sizes.set(uid, size ?? 0)
      }
      let batch = { fitting: [] as number[], last: 0, bytes: 0 }
      for (const uid of asked) {
        const size = sizes.get(uid)
        const isFitting = size !== undefined && size <= this.#maxBytes
        if (isFitting && batch.fitting.length > 0 && batch.bytes + size > BYTES_PER_BATCH) {
          yield batch
          batch = { fitting: [], last: 0, bytes: 0 }
        }
        if (isFitting) batch.fitting.push(uid)
        batch.bytes += isFitting ? size : 0
        batch.last = uid
      }
      yield batch
    }
  }
}

/** Numbers of mails that came after one, or lately, in the order of their numbers. */
async function findUids(client: ImapFlow, after: bigint | null): Promise<number[]> {
  const query = after === null ? { since: new Date(Date.now() - FIRST_LOOK_MS) } : { uid: `${after + 1n}:*` }
  const found = (await client.search(query, { uid: true })) || []
  // `9:*` names the last mail even if its number is lower.
  return found.filter((uid) => after === null || BigInt(uid) > after).sort((a, b) => a - b)
}

async function fetchMails(client: ImapFlow, uids: readonly number[]): Promise<FetchedMails['mails']> {
  if (uids.length === 0) return []
  const mails: FetchedMails['mails'] = []
  for await (const { uid, source } of client.fetch(uids.join(','), { uid: true, source: true }, { uid: true })) {
    if (source && source.length > 0) mails.push({ uid: BigInt(uid), raw: source })
  }
  return mails.sort((a, b) => Number(a.uid - b.uid))
}

type ImapError = { authenticationFailed?: boolean; responseText?: string; code?: string; message?: string }

function isRefusal(error: unknown): boolean {
  return (error as ImapError | null)?.authenticationFailed === true
}

/** What the server said, or what kept us from hearing it. */
function answerOf(error: unknown): string {
  const { responseText, code, message } = error as ImapError
  return responseText || [message, code].filter(Boolean).join(' ') || 'the server does not answer'
}
