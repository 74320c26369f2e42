// What can be told of an SQL script without a parser: its statements, once everything quoted is out of the way.

const QUOTED = /--[^\n]*|\/\*[\s\S]*?\*\/|(\$\w*\$)[\s\S]*?\1|'(?:[^']|'')*'/g
const ENDS_TRANSACTION = /^(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|PREPARE\s+TRANSACTION)\b/i
const REFUSES_TRANSACTION = /^(VACUUM|(CREATE|DROP)\s+DATABASE|(CREATE|DROP)\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY)\b/i

/** The script's statements without comments, bodies and literals, each on one line. */
export function listStatements(script: string): string[] {
  return script
    .replace(QUOTED, (quoted) => (quoted.startsWith('-') || quoted.startsWith('/*') ? ' ' : "''"))
    .split(';')
    .map((statement) => statement.replace(/\s+/g, ' ').trim())
    .filter(Boolean)
}

/** The first statement that would end a surrounding transaction or cannot run in one; null if the script is atomic. */
export function findNonAtomicStatement(script: string): string | null {
  return listStatements(script).find((s) => ENDS_TRANSACTION.test(s) || REFUSES_TRANSACTION.test(s)) ?? null
}

/** Whether a script takes tables or columns away, and what is in them. */
export function dropsData(script: string): boolean {
  return listStatements(script).some((statement) =>
    /^DROP (TABLE|SCHEMA)\b|\bDROP COLUMN\b|^TRUNCATE\b/i.test(statement),
  )
}

/** How often each kind of statement occurs: `CREATE TABLE` → 12. */
export function countStatementKinds(script: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const statement of listStatements(script)) {
    const kind = statementKind(statement)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

function statementKind(statement: string): string {
  const made = /^SELECT (make_\w+|keep_\w+|ensure_\w+)/i.exec(statement)
  if (made) return `${made[1]}()`
  const words = statement.replace(/\b(UNIQUE|OR REPLACE|UNLOGGED|SECURITY DEFINER)\b ?/gi, '').toUpperCase()
  return /^(CREATE|ALTER|DROP|COMMENT ON) (MATERIALIZED VIEW|\w+)/.exec(words)?.[0] ?? words.split(' ')[0] ?? ''
}

/** Line number, from 1, of a position that Postgres reports: the position counts characters from 1. */
export function lineOf(script: string, position: number): number {
  return [...script].slice(0, position - 1).filter((character) => character === '\n').length + 1
}
