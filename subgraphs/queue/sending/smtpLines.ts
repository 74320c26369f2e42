import { createHash } from 'node:crypto'
import type { Vault } from '#platform/vault.ts'
import type { FindServer } from '../mailServerPlace.ts'
import { SmtpLine, type SmtpTimeouts } from './smtpLine.ts'
import { readSmtpSettings } from './smtpSettings.ts'

/** What of a mailbox says how it sends. */
export type LineOrder = {
  emailAccountId: string
  fromEmail: string
  vaultKeyPath: string | null
  smtpSettings: unknown
}

/** A mailbox that cannot sign in: no server named, or no password where one should be. */
export class MailboxUnusable extends Error {}

type Known = { line: SmtpLine; mark: string }

/** The lines of all mailboxes that a worker sends for. Passwords are read when a line is made and kept nowhere else. */
export class SmtpLines {
  readonly #vault: Vault
  readonly #timeouts: SmtpTimeouts
  readonly #findServer: FindServer
  readonly #lines = new Map<string, Known>()

  constructor(options: { vault: Vault; timeouts: SmtpTimeouts; findServer: FindServer }) {
    this.#vault = options.vault
    this.#timeouts = options.timeouts
    this.#findServer = options.findServer
  }

  /**
   * The line of a mailbox; a new one when its settings or its password have changed.
   * @throws MailboxUnusable; AppError UNAVAILABLE when the vault cannot be read
   */
  async of({ emailAccountId, fromEmail, vaultKeyPath, smtpSettings }: LineOrder): Promise<SmtpLine> {
    const pass = vaultKeyPath === null ? null : await this.#read(vaultKeyPath)
    const mark = createHash('sha256')
      .update(JSON.stringify([smtpSettings, fromEmail, pass]))
      .digest('base64')
    const known = this.#lines.get(emailAccountId)
    if (known?.mark === mark) return known.line
    const settings = readSettings(smtpSettings)
    const credentials = pass === null ? null : { user: settings.user ?? fromEmail, pass }
    known?.line.close()
    const line = new SmtpLine({ settings, credentials, timeouts: this.#timeouts, findServer: this.#findServer })
    this.#forgetIdle()
    this.#lines.set(emailAccountId, { line, mark })
    return line
  }

  close(): void {
    for (const { line } of this.#lines.values()) line.close()
    this.#lines.clear()
  }

  async #read(vaultKeyPath: string): Promise<string> {
    try {
      return await this.#vault.read(vaultKeyPath)
    } catch (error) {
      if ((error as { code?: string }).code === 'UNAVAILABLE') throw error
      throw new MailboxUnusable((error as Error).message)
    }
  }

  /** Thousands of mailboxes may pass through a worker. */
  #forgetIdle(): void {
    if (this.#lines.size < 1_000) return
    for (const [id, { line }] of this.#lines) {
      if (!line.isIdle) continue
      line.close()
      this.#lines.delete(id)
    }
  }
}

function readSettings(stored: unknown) {
  try {
    return readSmtpSettings(stored)
  } catch (error) {
    throw new MailboxUnusable((error as Error).message)
  }
}
