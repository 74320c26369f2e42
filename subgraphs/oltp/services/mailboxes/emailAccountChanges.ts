import { isDeepStrictEqual } from 'node:util'
import type { CreateEmailAccountInput, DeleteEmailAccountInput, UpdateEmailAccountInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import { imapSecretPath, type MailServer, readMailServer } from '#platform/contracts/mailServers.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { changeAudited, createOnce, diff, pickGiven } from '../changes.ts'
import { wakeCampaignsOfDomain } from '../domains/domainWaking.ts'
import { readEmail } from '../leads/leadInput.ts'
import { requireRoom } from '../plans/planLimits.ts'
import type { EmailAccountRow } from '../rows.ts'
import { MAILBOX_DELETED } from '../sending/decideSend.ts'
import { failQueued } from '../sending/failQueued.ts'
import { planAgain } from '../sending/planAgain.ts'
import { insertRow, lockRow, updateRow } from '../tenantRows.ts'
import { readOptionalText } from '../texts.ts'
import {
  forgetSecrets,
  hasSecret,
  keepSecrets,
  type MailboxSecrets,
  readSecrets,
  replaceSecrets,
  requirePair,
  secretPathOf,
} from './emailAccountSecrets.ts'
import { readServer } from './mailServerInput.ts'

/** Mails a day; more would look like nobody's own mailbox. */
export const MAX_DAILY_LIMIT = 2_000

export type LockedMailbox = Pick<
  EmailAccountRow,
  | 'id'
  | 'domainId'
  | 'email'
  | 'displayName'
  | 'provider'
  | 'status'
  | 'dailyLimit'
  | 'warmupStatus'
  | 'warmupStartedAt'
  | 'vaultKeyPath'
  | 'smtpSettings'
  | 'imapSettings'
>

const LOCKED = [
  ...(['id', 'domainId', 'email', 'displayName', 'provider', 'status', 'dailyLimit', 'warmupStatus'] as const),
  ...(['warmupStartedAt', 'vaultKeyPath', 'smtpSettings', 'imapSettings'] as const),
]

const IS_NAMED = `
  SELECT FROM campaign_sequence_steps s JOIN campaigns c ON c.tenant_id = s.tenant_id AND c.id = s.campaign_id
  WHERE s.tenant_id = $1 AND s.email_account_id = $2 AND s.deleted_at IS NULL AND c.deleted_at IS NULL
    AND c.status IN ('scheduled', 'sending') LIMIT 1`

/**
 * Creates a mailbox on one of the tenant's domains. It is active once it is said how it sends. Passwords go to the vault
 * and nowhere else.
 * @throws AppError NOT_FOUND for an unknown domain; INVALID_INPUT; LIMIT_REACHED by the plan; CONFLICT for an address that
 *         is there already, or a key used with another input; UNAVAILABLE without a vault
 */
export async function createEmailAccount(context: Context, input: CreateEmailAccountInput): Promise<EmailAccountRow> {
  const domainId = readId(input.domainId, 'domainId')
  const secrets = readSecrets(input)
  const settings = readConnection(context, input)
  requirePasswords(settings, secrets)
  requirePair(secrets)
  const dailyLimit = readDailyLimit(input.dailyLimit ?? 50)
  const values = {
    ...settings,
    displayName: readName(input.displayName),
    provider: input.provider ?? 'smtp',
    dailyLimit,
  }
  // A repeat is told by everything but the passwords: a hash of those would be a way to guess them.
  const asked = { domainId, localPart: input.localPart, ...values, idempotencyKey: input.idempotencyKey }
  const act = { action: 'emailAccount.create', resourceType: 'EmailAccount', input: asked }
  const id = await createOnce(context, act, async (tx, newId) => {
    await requireRoom(tx, 'mailboxes')
    const domain = await lockRow<{ domain: string }>(tx, 'domains', domainId, ['domain'])
    if (!domain) throw new AppError('NOT_FOUND', 'domainId: there is no such domain')
    const email = readEmail(`${input.localPart.trim()}@${domain.domain}`, 'localPart')
    const vaultKeyPath = secrets.smtp === undefined ? null : secretPathOf(newId)
    const status = values.smtpSettings ? 'active' : 'pending'
    const row = { id: newId, domainId, email, status, vaultKeyPath, ...values, ...storedServers(settings) }
    if ((await insertRow(tx, 'email_accounts', row)) === 0) {
      throw new AppError('CONFLICT', 'localPart: there is a mailbox with this address')
    }
    if (vaultKeyPath) await keepSecrets(context, vaultKeyPath, secrets)
    return { domainId, status, ...auditable(values) }
  })
  return getEmailAccount(context, id)
}

/**
 * Changes what is given of a mailbox. One that waited for being told how it sends, or whose password was not accepted, is
 * active again when it is told. A password is for the server and the user that it was given for: with another it is to be
 * given again.
 * @throws AppError NOT_FOUND; INVALID_INPUT; UNAVAILABLE without a vault
 */
export async function updateEmailAccount(context: Context, input: UpdateEmailAccountInput): Promise<EmailAccountRow> {
  const id = readId(input.emailAccountId, 'emailAccountId')
  const secrets = readSecrets(input)
  const given = pickGiven({ ...readConnection(context, input), ...readIdentity(input) })
  await changeAudited(context, async (tx, record) => {
    const before = await lockMailbox(tx, id)
    const servers = {
      smtpSettings: readMailServer(before.smtpSettings),
      imapSettings: readMailServer(before.imapSettings),
    }
    await requireOwnPasswords(context, { vaultKeyPath: before.vaultKeyPath, before: servers, given, secrets })
    const { displayName, provider, status, domainId } = before
    const after: Changeable = Object.assign({ displayName, provider, ...servers }, given)
    const isTold = Boolean(input.smtp || (secrets.smtp !== undefined && servers.smtpSettings))
    const isRevived = isTold && ['pending', 'disconnected'].includes(status)
    await updateRow(tx, 'email_accounts', id, {
      ...given,
      ...storedServers(given),
      vaultKeyPath: await replaceSecrets(context, before, secrets),
      ...(isRevived && { status: 'active', pausedReason: null, pausedAt: null }),
    })
    if (isRevived) await wakeCampaignsOfDomain(tx, domainId)
    const { oldValues, newValues } = diff(auditable({ ...before, ...servers }), auditable(after))
    const passwords = Object.entries(secrets).flatMap(([name, secret]) => (secret === undefined ? [] : [name]))
    await record({
      action: 'emailAccount.update',
      resourceType: 'EmailAccount',
      resourceId: id,
      oldValues,
      newValues: { ...newValues, ...(passwords.length > 0 && { passwords }), ...(isRevived && { status: 'active' }) },
    })
  })
  return getEmailAccount(context, id)
}

/**
 * Deletes a mailbox and its passwords. Its mails stay; what is queued does not leave: campaigns' leads get it from another
 * mailbox.
 * @throws AppError NOT_FOUND; CONFLICT while a step of a scheduled or sending campaign names it
 */
export async function deleteEmailAccount(context: Context, input: DeleteEmailAccountInput): Promise<string> {
  const id = readId(input.emailAccountId, 'emailAccountId')
  const path = await changeAudited(context, async (tx, record) => {
    const { vaultKeyPath } = await lockMailbox(tx, id)
    const { rows } = await tx.query(IS_NAMED, [currentTenant(), id])
    if (rows.length > 0) {
      throw new AppError('CONFLICT', 'emailAccountId: a campaign that is scheduled or sending sends from this mailbox')
    }
    const at = now()
    await updateRow(tx, 'email_accounts', id, { deletedAt: at, status: 'disconnected' })
    const failed = await failQueued(tx, 'mailbox', { ids: [id], reason: MAILBOX_DELETED, at })
    await planAgain(tx, failed, at)
    const newValues = { failedMails: failed.length }
    await record({ action: 'emailAccount.delete', resourceType: 'EmailAccount', resourceId: id, newValues })
    return vaultKeyPath === secretPathOf(id) ? vaultKeyPath : null
  })
  if (path) await forgetSecrets(context, path)
  context.loaders.emailAccounts.clear(id)
  return id
}

/**
 * A mailbox, held until the transaction ends.
 * @throws AppError NOT_FOUND
 */
export async function lockMailbox(tx: Queryable, id: string): Promise<LockedMailbox> {
  const mailbox = await lockRow<LockedMailbox>(tx, 'email_accounts', id, LOCKED)
  if (!mailbox) throw new AppError('NOT_FOUND', 'emailAccountId: there is no such mailbox')
  return mailbox
}

/** @throws AppError INVALID_INPUT */
export function readDailyLimit(dailyLimit: number): number {
  if (dailyLimit < 0 || dailyLimit > MAX_DAILY_LIMIT) {
    throw new AppError('INVALID_INPUT', `dailyLimit: must be between 0 and ${MAX_DAILY_LIMIT}`)
  }
  return dailyLimit
}

/** @throws AppError NOT_FOUND */
export async function getEmailAccount({ loaders }: Context, id: string): Promise<EmailAccountRow> {
  const mailbox = await loaders.emailAccounts.clear(id).load(id)
  if (!mailbox) throw new AppError('NOT_FOUND', 'the mailbox is gone')
  return mailbox
}

type Servers = { smtpSettings: MailServer | null; imapSettings: MailServer | null }

type Changeable = Servers & { displayName: string | null; provider: string }

/** Undefined for a server that nothing is said of, null for one that is taken away. */
function readConnection(
  { allowsInsideServers }: Context,
  { smtp, imap }: Pick<CreateEmailAccountInput, 'smtp' | 'imap'>,
): Partial<Servers> {
  return pickGiven({
    smtpSettings: smtp && readServer(smtp, 'smtp', allowsInsideServers),
    imapSettings: imap && readServer(imap, 'imap', allowsInsideServers),
  }) as Partial<Servers>
}

function readIdentity({ displayName, provider }: UpdateEmailAccountInput) {
  return {
    displayName: displayName === undefined ? undefined : readName(displayName),
    provider: provider ?? undefined,
  }
}

function readName(displayName: string | null | undefined): string | null {
  return readOptionalText(displayName, 'displayName', 200)
}

/** Who logs in has a password; for reading, the one for sending may serve. */
function requirePasswords({ smtpSettings, imapSettings }: Partial<Servers>, { smtp, imap }: MailboxSecrets): void {
  if (smtpSettings?.user && smtp === undefined) {
    throw new AppError('INVALID_INPUT', 'smtpPassword: is needed to log in')
  }
  if (imapSettings?.user && imap === undefined && smtp === undefined) {
    throw new AppError('INVALID_INPUT', 'imapPassword: is needed to log in')
  }
}

type Moving = {
  vaultKeyPath: string | null
  before: Servers
  given: Partial<Servers>
  secrets: MailboxSecrets
}

/**
 * Whoever may say where a mailbox's server is must not thereby have the password that is kept for another one sent there.
 * @throws AppError INVALID_INPUT; UNAVAILABLE without a vault
 */
async function requireOwnPasswords(context: Context, { vaultKeyPath, before, given, secrets }: Moving): Promise<void> {
  if (vaultKeyPath === null) return
  if (isElsewhere(before.smtpSettings, given.smtpSettings) && secrets.smtp === undefined) {
    throw new AppError('INVALID_INPUT', 'smtpPassword: is needed again for another server or user')
  }
  if (!isElsewhere(before.imapSettings, given.imapSettings) || secrets.imap !== undefined) return
  // Without one of its own, reading goes with the password for sending.
  if (secrets.smtp === undefined || (await hasSecret(context, imapSecretPath(vaultKeyPath)))) {
    throw new AppError('INVALID_INPUT', 'imapPassword: is needed again for another server or user')
  }
}

function isElsewhere(before: MailServer | null, given: MailServer | null | undefined): boolean {
  return Boolean(given) && !isDeepStrictEqual(before, given)
}

/** Servers as their columns hold them; those that nothing is said of are left out. */
function storedServers({ smtpSettings, imapSettings }: Partial<Servers>) {
  return {
    ...(smtpSettings !== undefined && { smtpSettings: smtpSettings ?? {} }),
    ...(imapSettings !== undefined && { imapSettings: imapSettings ?? {} }),
  }
}

/** What the audit log keeps: where it sends through, not who logs in there. */
function auditable(values: Partial<Servers> & { provider?: string; dailyLimit?: number }) {
  const place = (server: MailServer | null | undefined) => server && `${server.host}:${server.port}`
  return pickGiven({
    provider: values.provider,
    dailyLimit: values.dailyLimit,
    smtp: place(values.smtpSettings) ?? null,
    imap: place(values.imapSettings) ?? null,
  })
}
