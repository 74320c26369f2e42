import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { readMigrations } from './migrations.ts'
import type { SchemaColumn, SchemaIndex, SchemaRelation, SchemaTable } from './schemaFile.ts'

const TITLES: Record<Tier, string> = {
  oltp: 'OLTP: operational truth',
  content: 'Content: the heavy things',
  analytics: 'Analytics: history, aggregated',
  queue: 'Queue: every promise that takes time',
}

export type Schemas = Record<Tier, SchemaTable[]>

/** docs/schema/<tier>.md: what the tier's tables hold, in Markdown as GitHub shows it. */
export function renderSchemaDocument(tier: Tier, schemas: Schemas): string {
  const tables = schemas[tier]
  const number = TIERS.indexOf(tier) + 1
  const others = TIERS.filter((other) => other !== tier).map((other) => `[${other}](${other}.md)`)
  return [
    `# Tier ${number} · ${TITLES[tier]}`,
    `Generated from [\`prisma/${tier}/schema.prisma\`](../../prisma/${tier}/schema.prisma) by \`npm exec tsx cli/docs.ts\`. ` +
      `The other tiers: ${others.join(', ')}.`,
    'Scope says who sees the rows: **tenant** the tenant they belong to, **platform** the platform itself, **membership** ' +
      'tenants by way of their members. Class says how sensitive a column is: public, internal, personal or content. ' +
      "No key and no join crosses a tier: another tier's row is named by its id.",
    table(
      ['table', 'scope', 'holds'],
      tables.map(({ name, comment }) => [
        `[${name}](#${name})`,
        scopeOf(comment),
        link(withoutScope(comment), schemas),
      ]),
    ),
    ...renderViews(tier, schemas),
    ...tables.flatMap((one) => renderTable(tier, one, schemas)),
  ]
    .join('\n\n')
    .concat('\n')
}

function renderTable(
  tier: Tier,
  { name, comment, columns, indexes, relations }: SchemaTable,
  schemas: Schemas,
): string[] {
  const namedBy = listReferrers(tier, name, schemas)
  return [
    `## ${name}`,
    `**${scopeOf(comment)}** · ${link(withoutScope(comment), schemas)}`,
    table(
      ['column', 'type', 'class', 'what it is'],
      columns.map((column) => renderColumn(column, schemas)),
    ),
    table(['key or index', 'on', 'serves'], indexes.map(renderIndex)),
    ...(relations.length > 0 ? [relations.map(renderRelation).join('  \n')] : []),
    ...(namedBy.length > 0 ? [`Named in other tiers by ${namedBy.join(', ')}.`] : []),
  ]
}

function renderColumn({ name, type, nullable, defaultValue, comment }: SchemaColumn, schemas: Schemas): string[] {
  const given = defaultValue === null ? '' : ` = ${defaultValue.replaceAll('"', "'")}`
  const [, columnClass = '', text = comment] = /^\[(\w+)\] (.*)$/.exec(comment) ?? []
  return [name, `\`${type}${nullable ? '?' : ''}${given}\``, columnClass, link(text, schemas)]
}

function renderIndex({ kind, columns, where, comment }: SchemaIndex): string[] {
  const keys = columns.map(({ name, descending }) => (descending ? `${name} ↓` : name)).join(', ')
  const predicate = where ? ` where ${where.replace(/^\((.*)\)$/, '$1').replaceAll('::text', '')}` : ''
  return [kind, keys + predicate, kind === 'primary' ? '' : comment.replace(/^serves:?\s*/, '')]
}

function renderRelation({ columns, table: target, references }: SchemaRelation): string {
  return `(${columns.join(', ')}) → [${target}](#${target}) (${references.join(', ')})`
}

/** Views are the migrations' own: Prisma knows nothing of them. */
function renderViews(tier: Tier, schemas: Schemas): string[] {
  const comments = readMigrations(tier).flatMap(({ up }) => [
    ...up.matchAll(/^COMMENT ON ((?:MATERIALIZED )?VIEW) (\w+) IS '((?:[^']|'')*)';/gm),
  ])
  if (comments.length === 0) return []
  const rows = comments.map(([, kind = '', name = '', comment = '']) => [
    name,
    kind.toLowerCase(),
    link(comment.replaceAll("''", "'").replace(/^Scope: [^.]*\. /, ''), schemas),
  ])
  return ['Views, read like tables:', table(['view', 'kind', 'shows'], rows)]
}

/** Tables of other tiers whose columns name this one. */
function listReferrers(tier: Tier, name: string, schemas: Schemas): string[] {
  return TIERS.filter((other) => other !== tier).flatMap((other) =>
    schemas[other].flatMap((referrer) => {
      const columns = referrer.columns.filter(({ comment }) => listReferences(comment).includes(`${tier}.${name}`))
      return columns.length > 0 ? [`[${other}.${referrer.name}](${other}.md#${referrer.name})`] : []
    }),
  )
}

/** Tables that a comment names: `→ oltp.users` gives `oltp.users`. */
export function listReferences(comment: string): string[] {
  return [...comment.matchAll(REFERENCE)].map(([reference]) => reference)
}

const REFERENCE = new RegExp(`\\b(${TIERS.join('|')})\\.(\\w+)`, 'g')

function link(text: string, schemas: Schemas): string {
  return text.replaceAll(REFERENCE, (reference: string, tier: Tier, name: string) =>
    schemas[tier].some((one) => one.name === name) ? `[${reference}](${tier}.md#${name})` : reference,
  )
}

function scopeOf(comment: string): string {
  return /^Scope: (\w+)\./.exec(comment)?.[1] ?? 'no scope'
}

function withoutScope(comment: string): string {
  return comment.replace(/^Scope: \w+\.\s*/, '')
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
