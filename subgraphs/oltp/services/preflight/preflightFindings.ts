import type { PreflightFindingCode, PreflightSeverity } from '#graphql/oltp'
import { AppError } from '#platform/errors.ts'

/** Something that stands in a campaign's way, or that one should know. */
export type Finding = {
  code: PreflightFindingCode
  severity: PreflightSeverity
  message: string
  /** How many it is about. */
  count: number | null
}

/** What only more of a plan, a mailbox or an address heals. */
const LIMITS: readonly PreflightFindingCode[] = ['plan_limit_reached', 'no_capacity']

export function blocker(code: PreflightFindingCode, message: string, count: number | null = null): Finding {
  return { code, severity: 'blocker', message, count }
}

export function warning(code: PreflightFindingCode, message: string, count: number | null = null): Finding {
  return { code, severity: 'warning', message, count }
}

/**
 * Refuses when something blocks; the findings are in the error's extensions, as the graph names them.
 * @param tolerated codes that don't block this time
 * @throws AppError LIMIT_REACHED when nothing but limits block, else INVALID_INPUT
 */
export function requireClear(findings: readonly Finding[], tolerated: readonly PreflightFindingCode[] = []): void {
  const blockers = findings.filter(({ severity, code }) => severity === 'blocker' && !tolerated.includes(code))
  if (blockers.length === 0) return
  const code = blockers.every((finding) => LIMITS.includes(finding.code)) ? 'LIMIT_REACHED' : 'INVALID_INPUT'
  throw new AppError(code, blockers.map(({ message }) => message).join('; '), {
    extensions: {
      findings: blockers.map((finding) => ({
        ...finding,
        code: finding.code.toUpperCase(),
        severity: finding.severity.toUpperCase(),
      })),
    },
  })
}
