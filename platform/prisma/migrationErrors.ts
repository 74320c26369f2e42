import pg from 'pg'
import { StartProblem } from '#platform/local/startProblem.ts'
import { lineOf } from './sqlScript.ts'

/** A database error in a person's words: file and line, what Postgres said, and that nothing of the script stayed. */
export function explainMigrationError(error: unknown, file: string, script: string): Error {
  if (!(error instanceof pg.DatabaseError)) return error instanceof Error ? error : new Error(String(error))
  const line = error.position ? `:${lineOf(script, Number(error.position))}` : ''
  const more = [error.detail, error.hint, error.where?.split('\n')[0]].filter(Boolean).map((text) => `\n  ${text}`)
  const message = `${file}${line}: ${error.message}${more.join('')}\n  Nothing of it was kept.`
  return Object.assign(new StartProblem(message), { cause: error })
}
