import type { SchemaTable } from './schemaFile.ts'

/** SQL that puts the schema's comments into the database: on each table and its columns. */
export function renderComments(tables: SchemaTable[]): string {
  return tables.map((table) => renderTable(table, (text) => literal(text))).join('\n')
}

/** SQL that takes them away again. */
export function renderCommentRemoval(tables: SchemaTable[]): string {
  return tables.map((table) => renderTable(table, () => 'NULL')).join('\n')
}

function renderTable({ name, comment, columns }: SchemaTable, textFor: (comment: string) => string): string {
  const statements = [
    `COMMENT ON TABLE ${name} IS ${textFor(comment)};`,
    ...columns.map((column) => `COMMENT ON COLUMN ${name}.${column.name} IS ${textFor(column.comment)};`),
  ]
  return `${statements.join('\n')}\n`
}

/** No comment and an empty one are the same to Postgres. */
function literal(text: string): string {
  return text === '' ? 'NULL' : `'${text.replaceAll("'", "''")}'`
}
