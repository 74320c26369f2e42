import type pg from 'pg'
import { columnRules } from './rules/columns.ts'
import { grantRules } from './rules/grants.ts'
import { keyRules } from './rules/keys.ts'
import { findOffenders, type Rule } from './rules/rule.ts'
import { viewRules } from './rules/views.ts'
import { wallRules } from './rules/walls.ts'

export const RULES: readonly Rule[] = [...wallRules, ...grantRules, ...keyRules, ...columnRules, ...viewRules]

/** Everything in this database that breaks a rule: the rule's name and what breaks it. */
export async function catalogueViolations(client: pg.Client): Promise<string[]> {
  const violations: string[] = []
  for (const rule of RULES) {
    const offenders = await findOffenders(client, rule)
    violations.push(...offenders.map((offender) => `${rule.name}: ${offender}`))
  }
  return violations
}
