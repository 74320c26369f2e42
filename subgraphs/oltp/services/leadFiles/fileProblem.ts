import type { LeadFileProblemCode } from '#graphql/oltp'

/** Why an import or an export ends before its time, by codes that clients can rely on. */
export const FILE_PROBLEMS = [
  'empty_file',
  'no_rows',
  'no_email_column',
  'unknown_column',
  'too_many_columns',
  'too_many_rows',
  'invalid_encoding',
  'broken_quote',
  'row_too_large',
  'file_gone',
  'limit_reached',
  'campaign_ended',
  'internal',
] as const satisfies readonly LeadFileProblemCode[]

/** Ends an import: what was imported before it stays. */
export class FileProblem extends Error {
  readonly code: LeadFileProblemCode

  constructor(code: LeadFileProblemCode, message: string) {
    super(message)
    this.name = 'FileProblem'
    this.code = code
  }
}

/** As it stands in `last_error`. */
export function problemText({ code, message }: { code: LeadFileProblemCode; message: string }): string {
  return `${code}: ${message}`
}

/** What `last_error` says, apart; null where there is none. */
export function readProblem(lastError: string | null): { code: LeadFileProblemCode; message: string } | null {
  if (lastError === null) return null
  const code = FILE_PROBLEMS.find((known) => lastError.startsWith(`${known}: `))
  return code ? { code, message: lastError.slice(code.length + 2) } : { code: 'internal', message: lastError }
}
