import type pg from 'pg'
import { AppError } from '../errors.ts'
import { writesTenantSetting } from './tenantQuery.ts'

/**
 * One statement in pg's config form.
 * @throws AppError INTERNAL for node-postgres forms that could outlive their tenant's turn on the connection
 */
export function readStatement(
  statement: string | pg.QueryConfig,
  values: readonly unknown[] | undefined,
  rest: readonly unknown[],
): pg.QueryConfig {
  if (rest.length > 0 || typeof values === 'function') {
    throw new AppError('INTERNAL', 'the tenant pool has no callback API')
  }
  if (typeof statement === 'object' && 'submit' in statement) {
    throw new AppError('INTERNAL', 'the tenant pool takes no cursors, streams or COPY')
  }
  const config = typeof statement === 'string' ? { text: statement } : statement
  if (writesTenantSetting(config.text)) throw new AppError('INTERNAL', 'statements may not set the tenant')
  return values ? { ...config, values: values as unknown[] } : config
}
