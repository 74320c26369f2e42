import { createHash } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { CancelImportInput, ImportLeadsInput } from '#graphql/oltp'
import type { LeadImportPayload } from '#platform/contracts/leadFile.ts'
import { findAnswer, makeRepeatable, rememberAnswer } from '#platform/database/idempotency.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import { appendOutbox } from '#platform/outbox/append.ts'
import type { Context } from '../../context.ts'
import { changeAudited } from '../changes.ts'
import type { LeadImportRow } from '../rows.ts'
import { lockRow } from '../tenantRows.ts'
import { readText } from '../texts.ts'
import { findUploadedFile, storeText } from './contentFiles.ts'
import { readMapping } from './leadColumns.ts'

/** A list given within the request; longer ones are uploaded. */
const MAX_INLINE_BYTES = 1024 * 1024

const INSERT = `
  INSERT INTO lead_imports (tenant_id, id, file_name, content_storage_key, column_mapping, campaign_id, total_bytes)
  VALUES ($1, $2, $3, $4, $5, $6, $7)`

type SourceFile = { storageKey: string; filename: string; sizeBytes: number }

/**
 * Has a file of leads imported by a job: a finalized upload, or a short text. Repeating an `idempotencyKey` answers the
 * first import again.
 * @throws AppError INVALID_INPUT; NOT_FOUND for an unknown upload or campaign; CONFLICT for an upload that is not
 *         finalized, a campaign that has ended, or a key used with another input; LIMIT_REACHED for a text over 1 MiB
 */
export async function importLeads(context: Context, input: ImportLeadsInput): Promise<LeadImportRow> {
  const { db, caller } = context
  const { csv, updateExisting } = input
  const uploadId = input.uploadId == null ? null : readId(input.uploadId, 'uploadId')
  if ((uploadId === null) === (csv == null)) throw new AppError('INVALID_INPUT', 'uploadId, csv: give one of them')
  if (csv != null) requireInline(csv)
  const name = readText(input.fileName ?? 'leads.csv', 'fileName', 255)
  const campaignId = input.campaignId == null ? null : readId(input.campaignId, 'campaignId')
  const mapping = readMapping(input.columnMapping)
  const isUpdating = updateExisting ?? false
  const asked = [uploadId, csv == null ? null : sha256(csv), input.fileName, campaignId, JSON.stringify(mapping)]
  const request = makeRepeatable(input.idempotencyKey, 'importLeads', [...asked, String(isUpdating)])
  const known = request && (await findAnswer<{ leadImportId: string }>(db.tenantSql, request))
  if (known) return getImport(context, known.leadImportId)

  await requireCampaign(db.tenantSql, campaignId)
  const made = { leadImportId: uuidv7() }
  const file = uploadId ? await getUpload(context, uploadId) : await storeInline(context, made.leadImportId, name, csv)
  const fileName = input.fileName == null && uploadId ? file.filename : name
  const { leadImportId } = await changeAudited(context, async (tx, record) => {
    const earlier = request && (await rememberAnswer(tx, request, made))
    if (earlier) return earlier
    await requireCampaign(tx, campaignId)
    const facts = [fileName, file.storageKey, JSON.stringify(mapping), campaignId, file.sizeBytes]
    await tx.query(INSERT, [currentTenant(), made.leadImportId, ...facts])
    const payload = { ...made, updateExisting: isUpdating, requestedBy: caller.userId }
    await announce(tx, context.requestId, payload)
    await record({
      action: 'lead.import',
      resourceType: 'LeadImport',
      resourceId: made.leadImportId,
      newValues: { campaignId, updateExisting: isUpdating, sizeBytes: file.sizeBytes },
    })
    return made
  })
  return getImport(context, leadImportId)
}

/**
 * Stops an import: the rows it has written stay, and no further ones follow. A repeat changes nothing.
 * @throws AppError NOT_FOUND; CONFLICT for one that has ended otherwise
 */
export async function cancelImport(context: Context, input: CancelImportInput): Promise<LeadImportRow> {
  const id = readId(input.id, 'id')
  await changeAudited(context, async (tx, record) => {
    const text = 'SELECT status FROM lead_imports WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE'
    const { rows } = await tx.query<{ status: string }>(text, [currentTenant(), id])
    const status = rows[0]?.status
    if (status === undefined) throw new AppError('NOT_FOUND', 'id: there is no such import')
    if (status === 'cancelled') return
    if (status !== 'queued' && status !== 'running') throw new AppError('CONFLICT', 'id: this import has ended')
    const cancel = `UPDATE lead_imports SET status = 'cancelled', completed_at = now() WHERE tenant_id = $1 AND id = $2`
    await tx.query(cancel, [currentTenant(), id])
    await record({ action: 'lead.import.cancel', resourceType: 'LeadImport', resourceId: id, oldValues: { status } })
  })
  return getImport(context, id)
}

async function announce(tx: Queryable, requestId: string, payload: LeadImportPayload): Promise<void> {
  await appendOutbox(tx, [
    {
      tenantId: currentTenant(),
      aggregateType: 'LeadImport',
      aggregateId: payload.leadImportId,
      eventType: 'leadImport.requested',
      correlationId: requestId,
      payload,
    },
  ])
}

/** @throws AppError NOT_FOUND for an unknown campaign; CONFLICT for one that has ended */
async function requireCampaign(sql: Queryable, campaignId: string | null): Promise<void> {
  if (campaignId === null) return
  const campaign = await lockRow<{ status: string }>(sql, 'campaigns', campaignId, ['status'])
  if (!campaign) throw new AppError('NOT_FOUND', 'campaignId: there is no such campaign')
  if (campaign.status === 'completed' || campaign.status === 'cancelled') {
    throw new AppError('CONFLICT', 'campaignId: this campaign has ended')
  }
}

async function getUpload({ content, requestId }: Context, uploadId: string): Promise<SourceFile> {
  const file = await findUploadedFile(content, uploadId, { tenantId: currentTenant(), requestId })
  if (!file) throw new AppError('NOT_FOUND', 'uploadId: there is no such upload')
  return file
}

/** Stored before the import that names it is written: a reference never points at nothing. */
async function storeInline(
  { content, requestId }: Context,
  leadImportId: string,
  filename: string,
  csv: string | null | undefined,
): Promise<SourceFile> {
  const storageKey = `lead-import/${leadImportId}`
  const bytes = Buffer.from(csv ?? '')
  await storeText(content, { storageKey, filename, bytes }, { tenantId: currentTenant(), requestId })
  return { storageKey, filename, sizeBytes: bytes.length }
}

function requireInline(csv: string): void {
  if (csv === '') throw new AppError('INVALID_INPUT', 'csv: is empty')
  if (Buffer.byteLength(csv) > MAX_INLINE_BYTES) {
    throw new AppError('LIMIT_REACHED', `csv: has more than ${MAX_INLINE_BYTES} bytes; upload it`, {
      extensions: { limit: MAX_INLINE_BYTES },
    })
  }
}

async function getImport({ db }: Context, id: string): Promise<LeadImportRow> {
  const row = await db.tenant.leadImport.findFirst({ where: { id } })
  if (!row) throw new AppError('NOT_FOUND', 'the import is gone')
  return row
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
