import { randomBytes } from 'node:crypto'
import type { CreateDomainInput, DeleteDomainInput, UpdateDomainInput, VerifyDomainInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { changeAudited, createOnce } from '../changes.ts'
import { readDomain } from '../leads/leadInput.ts'
import { requireRoom } from '../plans/planLimits.ts'
import type { DomainRow } from '../rows.ts'
import { areLive, insertRow, lockRow, updateRow } from '../tenantRows.ts'
import { makeDkimKey } from './dkimKeys.ts'
import { type DnsRecords, makeRecords, PURPOSES, readRecords } from './domainRecords.ts'
import { wakeCampaignsOfDomain } from './domainWaking.ts'

type Locked = Pick<
  DomainRow,
  'id' | 'companyId' | 'domain' | 'verificationStatus' | 'verifiedAt' | 'isPrimary' | 'dnsRecords' | 'dkimVaultKeyPath'
>

const LOCKED = [
  ...(['id', 'companyId', 'domain', 'verificationStatus', 'verifiedAt', 'isPrimary'] as const),
  ...(['dnsRecords', 'dkimVaultKeyPath'] as const),
]

/** Name of the key in DNS. */
const SELECTOR = 'pm1'

const OTHERS_NOT_PRIMARY = `
  UPDATE domains SET is_primary = false
  WHERE tenant_id = $1 AND company_id = $2 AND id <> $3 AND is_primary AND deleted_at IS NULL`

const HAS_MAILBOX = 'SELECT FROM email_accounts WHERE tenant_id = $1 AND domain_id = $2 AND deleted_at IS NULL LIMIT 1'

/**
 * Creates a domain, not verified yet, with a key to sign its mail: the key goes to the vault, the records that its DNS
 * should have are in `dnsRecords`.
 * @throws AppError NOT_FOUND for an unknown company; INVALID_INPUT; LIMIT_REACHED by the plan; CONFLICT for a domain that
 *         is there already, or a key used with another input; UNAVAILABLE without a vault
 */
export async function createDomain(context: Context, input: CreateDomainInput): Promise<DomainRow> {
  const companyId = readId(input.companyId, 'companyId')
  const domain = readDomain(input.domain, 'domain')
  const isPrimary = input.isPrimary ?? false
  const asked = { companyId, domain, isPrimary, idempotencyKey: input.idempotencyKey }
  const act = { action: 'domain.create', resourceType: 'Domain', input: asked }
  const id = await createOnce(context, act, async (tx, newId) => {
    await requireRoom(tx, 'domains')
    if (!(await areLive(tx, 'companies', [companyId]))) {
      throw new AppError('NOT_FOUND', 'companyId: there is no such company')
    }
    const row = { id: newId, companyId, domain, isPrimary, createdAt: new Date() }
    if ((await insertRow(tx, 'domains', row)) === 0) throw new AppError('CONFLICT', 'domain: is there already')
    if (isPrimary) await tx.query(OTHERS_NOT_PRIMARY, [currentTenant(), companyId, newId])
    const setUp = await setUpDomain(context, newId, domain)
    await updateRow(tx, 'domains', newId, { ...setUp.columns, dnsRecords: setUp.records })
    return { companyId, domain, isPrimary }
  })
  return getDomain(context, id)
}

/**
 * Makes a domain its company's first choice, or takes that back.
 * @throws AppError NOT_FOUND
 */
export async function updateDomain(context: Context, input: UpdateDomainInput): Promise<DomainRow> {
  const id = readId(input.domainId, 'domainId')
  await changeAudited(context, async (tx, record) => {
    const before = await lockDomain(tx, id)
    const isPrimary = input.isPrimary ?? before.isPrimary
    await updateRow(tx, 'domains', id, { isPrimary })
    if (isPrimary) await tx.query(OTHERS_NOT_PRIMARY, [currentTenant(), before.companyId, id])
    const oldValues = { isPrimary: before.isPrimary }
    await record({
      action: 'domain.update',
      resourceType: 'Domain',
      resourceId: id,
      oldValues,
      newValues: { isPrimary },
    })
  })
  return getDomain(context, id)
}

/**
 * Deletes a domain that has no mailboxes any more.
 * @throws AppError NOT_FOUND; CONFLICT while it has mailboxes
 */
export async function deleteDomain(context: Context, { domainId }: DeleteDomainInput): Promise<string> {
  const id = readId(domainId, 'domainId')
  const secretPath = await changeAudited(context, async (tx, record) => {
    const before = await lockDomain(tx, id)
    const { rows } = await tx.query(HAS_MAILBOX, [currentTenant(), id])
    if (rows.length > 0) throw new AppError('CONFLICT', 'domainId: the domain has mailboxes')
    await updateRow(tx, 'domains', id, { deletedAt: now(), isPrimary: false })
    await record({ action: 'domain.delete', resourceType: 'Domain', resourceId: id })
    return before.dkimVaultKeyPath
  })
  if (secretPath) await forget(context, secretPath)
  context.loaders.domains.clear(id)
  return id
}

/**
 * Looks what a domain's DNS says now. It is verified when the ownership record, SPF and DKIM are right, and failed when one
 * of them is not; where DNS gives no answer it stays what it was.
 * @throws AppError NOT_FOUND; CONFLICT while somebody else does the same; UNAVAILABLE without a vault
 */
export async function verifyDomain(context: Context, { domainId }: VerifyDomainInput): Promise<DomainRow> {
  const id = readId(domainId, 'domainId')
  const known = await context.loaders.domains.clear(id).load(id)
  if (!known) throw new AppError('NOT_FOUND', 'domainId: there is no such domain')
  // One that came without records of ours gets them now.
  const own = readRecords(known.dnsRecords)
  const setUp = own && known.dkimVaultKeyPath ? null : await setUpDomain(context, id, known.domain)
  const records = await context.domainLookup.look(setUp?.records ?? (own as DnsRecords), now())
  await changeAudited(context, async (tx, record) => {
    const before = await lockDomain(tx, id)
    const current = readRecords(before.dnsRecords)
    if (current?.ownership.value !== own?.ownership.value) {
      throw new AppError('CONFLICT', 'the domain is being verified by somebody else')
    }
    const verificationStatus = statusOf(records) ?? before.verificationStatus
    const isVerified = verificationStatus === 'verified'
    const verifiedAt = isVerified ? (before.verifiedAt ?? now()) : null
    await updateRow(tx, 'domains', id, { ...setUp?.columns, dnsRecords: records, verificationStatus, verifiedAt })
    if (isVerified && before.verificationStatus !== 'verified') {
      await wakeCampaignsOfDomain(tx, id)
    }
    await record({
      action: 'domain.verify',
      resourceType: 'Domain',
      resourceId: id,
      oldValues: { verificationStatus: before.verificationStatus },
      newValues: { verificationStatus, wrong: PURPOSES.filter((purpose) => records[purpose].verified === false) },
    })
  })
  return getDomain(context, id)
}

/** Null while DNS has not answered for all that is required, and nothing that it did answer is wrong. */
function statusOf(records: DnsRecords): 'verified' | 'failed' | null {
  const required = PURPOSES.map((purpose) => records[purpose]).filter((record) => record.required)
  if (required.some(({ verified }) => verified === false)) return 'failed'
  return required.every(({ verified }) => verified) ? 'verified' : null
}

/** A key for a domain, in the vault before any row names it, and the records that tell of it. */
async function setUpDomain({ vault, mailHosts }: Context, id: string, domain: string) {
  const { privateKey, record: dkimRecord } = await makeDkimKey()
  // A place of its own: of two who do this at once, the one that loses must not have changed the other's key.
  const dkimVaultKeyPath = `domains/${currentTenant()}/${id}/${randomBytes(8).toString('hex')}`
  await vault.put(dkimVaultKeyPath, privateKey)
  const records = makeRecords(domain, { selector: SELECTOR, dkimRecord, hosts: mailHosts })
  return { records, columns: { dkimSelector: SELECTOR, dkimVaultKeyPath } }
}

/** A secret that nothing names any more; one that stays does no harm. */
async function forget({ vault, log }: Context, secretPath: string): Promise<void> {
  await vault.remove(secretPath).catch((error: unknown) => log.warn({ err: error }, 'a secret could not be removed'))
}

async function lockDomain(tx: Queryable, id: string): Promise<Locked> {
  const domain = await lockRow<Locked>(tx, 'domains', id, LOCKED)
  if (!domain) throw new AppError('NOT_FOUND', 'domainId: there is no such domain')
  return domain
}

async function getDomain({ loaders }: Context, id: string): Promise<DomainRow> {
  const domain = await loaders.domains.clear(id).load(id)
  if (!domain) throw new AppError('NOT_FOUND', 'the domain is gone')
  return domain
}
