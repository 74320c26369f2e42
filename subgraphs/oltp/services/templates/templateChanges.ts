import type { CreateTemplateInput, DeleteTemplateInput, UpdateTemplateInput } from '#graphql/oltp'
import { now } from '#platform/clock.ts'
import type { Queryable } from '#platform/database/tenantPool.ts'
import { currentTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../../context.ts'
import { changeAudited, createOnce, diff, pickGiven } from '../changes.ts'
import { checkTemplate } from '../rendering/checkTemplate.ts'
import { MAX_TEMPLATE_LENGTH } from '../rendering/engines.ts'
import type { TemplateRow } from '../rows.ts'
import { insertRow, lockRow, updateRow } from '../tenantRows.ts'
import { readBody, readList, readOptionalText, readText } from '../texts.ts'

type TemplateValues = Pick<TemplateRow, 'name' | 'subject' | 'bodyText' | 'bodyHtml' | 'folder' | 'tags'>

const FIELDS = ['name', 'subject', 'bodyText', 'bodyHtml', 'folder', 'tags'] as const
const TEXTS: readonly string[] = ['subject', 'bodyText', 'bodyHtml']

const IS_SENT = `
  SELECT FROM campaign_sequence_steps s JOIN campaigns c ON c.tenant_id = s.tenant_id AND c.id = s.campaign_id
  WHERE s.tenant_id = $1 AND s.template_id = $2 AND s.deleted_at IS NULL AND c.deleted_at IS NULL
    AND c.status IN ('scheduled', 'sending') LIMIT 1`

/**
 * Creates a template.
 * @throws AppError INVALID_INPUT, with the place of what is wrong in a text; CONFLICT for a key used with another input
 */
export async function createTemplate(context: Context, input: CreateTemplateInput): Promise<TemplateRow> {
  const { idempotencyKey, ...given } = input
  const values = readTemplate({ bodyText: null, bodyHtml: null, folder: null, tags: [], ...given })
  const act = { action: 'template.create', resourceType: 'Template', input: { ...values, idempotencyKey } }
  const id = await createOnce(context, act, async (tx, newId) => {
    await insertRow(tx, 'templates', { id: newId, ...values })
    return auditable(values)
  })
  return getTemplate(context, id)
}

/**
 * Changes what is given of a template; its texts only while no scheduled or sending campaign sends it.
 * @throws AppError NOT_FOUND; INVALID_INPUT as `createTemplate`; CONFLICT while it is sent
 */
export async function updateTemplate(context: Context, input: UpdateTemplateInput): Promise<TemplateRow> {
  const { templateId, ...given } = input
  const id = readId(templateId, 'templateId')
  await changeAudited(context, async (tx, record) => {
    const before = await lockTemplate(tx, id)
    const after = readTemplate({ ...before, ...pickGiven(given) })
    const { names } = diff(before, after)
    if (names.some((name) => TEXTS.includes(name))) await requireNotSent(tx, id)
    await updateRow(tx, 'templates', id, after)
    const { oldValues, newValues } = diff(auditable(before), auditable(after))
    await record({
      action: 'template.update',
      resourceType: 'Template',
      resourceId: id,
      oldValues,
      newValues: { ...newValues, changed: names },
    })
  })
  return getTemplate(context, id)
}

/**
 * Deletes a template.
 * @throws AppError NOT_FOUND; CONFLICT while a scheduled or sending campaign sends it
 */
export async function deleteTemplate(context: Context, { templateId }: DeleteTemplateInput): Promise<string> {
  const id = readId(templateId, 'templateId')
  await changeAudited(context, async (tx, record) => {
    await lockTemplate(tx, id)
    await requireNotSent(tx, id)
    await updateRow(tx, 'templates', id, { deletedAt: now() })
    await record({ action: 'template.delete', resourceType: 'Template', resourceId: id })
  })
  context.loaders.templates.clear(id)
  return id
}

async function lockTemplate(tx: Queryable, id: string): Promise<TemplateValues> {
  const template = await lockRow<TemplateValues>(tx, 'templates', id, FIELDS)
  if (!template) throw new AppError('NOT_FOUND', 'templateId: there is no such template')
  return template
}

/** Whoever launches a campaign holds its templates, so it is either seen here or sees what was done here. */
async function requireNotSent(tx: Queryable, id: string): Promise<void> {
  const { rows } = await tx.query(IS_SENT, [currentTenant(), id])
  if (rows.length > 0) {
    throw new AppError('CONFLICT', 'templateId: a campaign that is scheduled or sending sends this template')
  }
}

async function getTemplate({ loaders }: Context, id: string): Promise<TemplateRow> {
  const template = await loaders.templates.clear(id).load(id)
  if (!template) throw new AppError('NOT_FOUND', 'the template is gone')
  return template
}

type Given = { [Field in keyof TemplateValues]?: TemplateValues[Field] | null }

function readTemplate(given: Given): TemplateValues {
  const values = {
    name: readText(given.name ?? '', 'name', 200),
    subject: readText(given.subject ?? '', 'subject', 998),
    bodyText: readBody(given.bodyText, 'bodyText', MAX_TEMPLATE_LENGTH),
    bodyHtml: readBody(given.bodyHtml, 'bodyHtml', MAX_TEMPLATE_LENGTH),
    folder: readOptionalText(given.folder, 'folder', 200),
    tags: readList(given.tags ?? [], 'tags', { most: 20, longest: 50 }),
  }
  checkTemplate(values)
  return values
}

/** What the audit log keeps of it: texts may hold anything. */
function auditable({ name, folder, tags }: TemplateValues) {
  return { name, folder, tags }
}
