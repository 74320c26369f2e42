import { z } from 'zod'

/** How a mailbox's server is reached. Never a secret: passwords are in the vault. */
export const mailServer = z.object({
  host: z.string().min(1),
  port: z.int().min(1).max(65_535),
  /** TLS from the first byte; else the connection is upgraded by STARTTLS where the server offers it. */
  secure: z.boolean(),
  /** Name to log in with; null for a server that asks for none. */
  user: z.string().nullable(),
})
export type MailServer = z.infer<typeof mailServer>

/** A server's settings as they are stored; null for none, or for what can't be read. */
export function readMailServer(stored: unknown): MailServer | null {
  const parsed = mailServer.safeParse(stored)
  return parsed.success ? parsed.data : null
}

/**
 * Where in the vault the password for reading a mailbox is: beside the one for sending, which is at `vaultKeyPath` itself.
 * Where there is none, the one for sending serves for both.
 */
export function imapSecretPath(vaultKeyPath: string): string {
  return `${vaultKeyPath}.imap`
}
