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

/** Why the database cannot be reached, in a person's words and without the password. */
export function explainConnectionError(error: unknown, url: string): Error {
  const { code, errors, message } = error as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] }
  const { host, pathname, username } = new URL(url)
  const reason = REASONS[code ?? errors?.[0]?.code ?? '']
  const problem = reason ? reason(host, pathname.slice(1), username) : `${host}${pathname}: ${message}`
  return Object.assign(new StartProblem(problem), { cause: error })
}

const REASONS: Record<string, (host: string, database: string, role: string) => string> = {
  ECONNREFUSED: (host) => `no database is running at ${host} (the local ones run while npm start does)`,
  ENOTFOUND: (host) => `no machine is named ${host}`,
  ETIMEDOUT: (host) => `${host} does not answer`,
  '3D000': (host, database) => `the server at ${host} has no database "${database}"`,
  '28P01': (host, _, role) => `the server at ${host} does not accept the password of role ${role}`,
  '28000': (host, _, role) => `the server at ${host} does not let role ${role} in`,
}
