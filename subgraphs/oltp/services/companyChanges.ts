import type { UpdateCompanyInput } from '#graphql/oltp'
import { AppError } from '#platform/errors.ts'
import { readId } from '#platform/graph/ids.ts'
import type { Context } from '../context.ts'
import { changeAudited, diff, pickGiven } from './changes.ts'
import type { CompanyRow } from './rows.ts'
import { lockRow, updateRow } from './tenantRows.ts'
import { readOptionalText, readText } from './texts.ts'

type CompanyValues = Pick<CompanyRow, 'name' | 'workspaceName' | 'logoUrl'>

const FIELDS = ['name', 'workspaceName', 'logoUrl'] as const

/**
 * Changes what is given of a company.
 * @throws AppError NOT_FOUND; INVALID_INPUT
 */
export async function updateCompany(context: Context, input: UpdateCompanyInput): Promise<CompanyRow> {
  const { companyId, ...given } = input
  const id = readId(companyId, 'companyId')
  await changeAudited(context, async (tx, record) => {
    const before = await lockRow<CompanyValues>(tx, 'companies', id, FIELDS)
    if (!before) throw new AppError('NOT_FOUND', 'companyId: there is no such company')
    const after = readCompany({ ...before, ...pickGiven(given) })
    await updateRow(tx, 'companies', id, after)
    await record({ action: 'company.update', resourceType: 'Company', resourceId: id, ...changed(before, after) })
  })
  const company = await context.loaders.companies.clear(id).load(id)
  if (!company) throw new AppError('NOT_FOUND', 'the company is gone')
  return company
}

function changed(before: CompanyValues, after: CompanyValues) {
  const { oldValues, newValues } = diff(before, after)
  return { oldValues, newValues }
}

function readCompany(given: { [Field in keyof CompanyValues]?: string | null }): CompanyValues {
  const logoUrl = readOptionalText(given.logoUrl, 'logoUrl', 2_000)
  if (logoUrl !== null && !isWebAddress(logoUrl)) throw new AppError('INVALID_INPUT', 'logoUrl: is not a web address')
  return {
    name: readText(given.name ?? '', 'name', 200),
    workspaceName: readOptionalText(given.workspaceName, 'workspaceName', 200),
    logoUrl,
  }
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol)
}
