import type { CreateEmailAccountInput } from '#graphql/oltp'
import { imapSecretPath } from '#platform/contracts/mailServers.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import type { Context } from '../../context.ts'
import type { EmailAccountRow } from '../rows.ts'
import { readPassword } from './mailServerInput.ts'

/** A mailbox's passwords for sending and for reading; undefined for one that nothing is said of. */
export type MailboxSecrets = { smtp: string | undefined; imap: string | undefined }

/** @throws AppError INVALID_INPUT, without saying what was given */
export function readSecrets(input: Pick<CreateEmailAccountInput, 'smtpPassword' | 'imapPassword'>): MailboxSecrets {
  return {
    smtp: readPassword(input.smtpPassword, 'smtpPassword'),
    imap: readPassword(input.imapPassword, 'imapPassword'),
  }
}

/** Where in the vault a mailbox's passwords are. */
export function secretPathOf(id: string): string {
  return `mailboxes/${currentTenant()}/${id}`
}

/**
 * Who has a place in the vault has a password for sending there.
 * @throws AppError INVALID_INPUT
 */
export function requirePair({ smtp, imap }: MailboxSecrets): void {
  if (imap !== undefined && smtp === undefined) {
    throw new AppError('INVALID_INPUT', 'imapPassword: goes with a smtpPassword')
  }
}

/** @throws AppError UNAVAILABLE without a vault */
export async function keepSecrets(
  { vault }: Context,
  vaultKeyPath: string,
  { smtp, imap }: MailboxSecrets,
): Promise<void> {
  if (smtp !== undefined) await vault.put(vaultKeyPath, smtp)
  if (imap !== undefined) await vault.put(imapSecretPath(vaultKeyPath), imap)
}

/**
 * Puts what is given in place of what was there; answers the path. A path that is not the mailbox's own, as founding a
 * tenant may name one, is only read from.
 * @throws AppError INVALID_INPUT for a first password that is not the one for sending
 */
export async function replaceSecrets(
  context: Context,
  mailbox: Pick<EmailAccountRow, 'id' | 'vaultKeyPath'>,
  secrets: MailboxSecrets,
): Promise<string | null> {
  const { id, vaultKeyPath } = mailbox
  const own = secretPathOf(id)
  if (secrets.smtp === undefined && secrets.imap === undefined) return vaultKeyPath
  if (vaultKeyPath === null) requirePair(secrets)
  if (vaultKeyPath && vaultKeyPath !== own) {
    const smtp = secrets.smtp ?? (await findSecret(context, vaultKeyPath))
    const imap = secrets.imap ?? (await findSecret(context, imapSecretPath(vaultKeyPath)))
    await keepSecrets(context, own, { smtp, imap })
  } else {
    await keepSecrets(context, own, secrets)
  }
  return own
}

/** @throws AppError UNAVAILABLE without a vault */
export async function hasSecret(context: Context, path: string): Promise<boolean> {
  return (await findSecret(context, path)) !== undefined
}

async function findSecret({ vault }: Context, path: string): Promise<string | undefined> {
  return vault.read(path).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined
    throw error
  })
}

/** Secrets that nothing names any more; those that stay do no harm. */
export async function forgetSecrets({ vault, log }: Context, vaultKeyPath: string): Promise<void> {
  const removed = await Promise.allSettled([vault.remove(vaultKeyPath), vault.remove(imapSecretPath(vaultKeyPath))])
  const failed = removed.find((result) => result.status === 'rejected')
  if (failed) log.warn({ err: failed.reason }, 'a secret could not be removed')
}
