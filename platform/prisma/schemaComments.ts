import type { SchemaTable } from './schemaFile.ts'

/** SQL that puts the schema's comments into the database: on each table and its columns. */
export function renderComments(tables: SchemaTable[]): string {
  return tables.map((table) => renderTable(table, literal)).join('\n')
}

/** SQL that takes them away again: back to those of an earlier rendering, or to none. */
export function renderCommentRemoval(tables: SchemaTable[], earlier = ''): string {
  const before = new Map([...earlier.matchAll(STATEMENT)].map(([, target, text]) => [target, text]))
  return tables.map((table) => renderTable(table, (_comment, target) => before.get(target) ?? 'NULL')).join('\n')
}

const STATEMENT = /^COMMENT ON (\S+ \S+) IS (.*);$/gm

function renderTable(
  { name, comment, columns }: SchemaTable,
  textFor: (comment: string, target: string) => string,
): string {
  const targets: [string, string][] = [
    [`TABLE ${name}`, comment],
    ...columns.map((column): [string, string] => [`COLUMN ${name}.${column.name}`, column.comment]),
  ]
  return `${targets.map(([target, text]) => `COMMENT ON ${target} IS ${textFor(text, target)};`).join('\n')}\n`
}

/** No comment and an empty one are the same to Postgres. */
function literal(text: string): string {
  return text === '' ? 'NULL' : `'${text.replaceAll("'", "''")}'`
}
