import { readFileSync } from 'node:fs'
import type { Tier } from '#platform/contracts/tiers.ts'
import { PROJECT_ROOT } from './freshness.ts'

// Reads schema.prisma line by line: Prisma's own parser drops the comments of indexes and lives inside its command.

export type SchemaColumn = {
  /** Name in the database. */
  name: string
  /** PostgreSQL type: `uuid`, `timestamptz(3)`, `text[]`. */
  type: string
  nullable: boolean
  /** As the schema has it, without its `@default(…)`; null without one. */
  defaultValue: string | null
  /** The whole `///` comment on one line, class included; empty without one. */
  comment: string
}

export type SchemaIndex = {
  kind: 'primary' | 'unique' | 'index'
  columns: { name: string; descending: boolean }[]
  /** Predicate of a partial index; null for a whole one. */
  where: string | null
  comment: string
}

export type SchemaRelation = { columns: string[]; table: string; references: string[] }

export type SchemaTable = {
  name: string
  /** The `///` comment on one line, scope included. */
  comment: string
  columns: SchemaColumn[]
  indexes: SchemaIndex[]
  /** Foreign keys that this table holds. */
  relations: SchemaRelation[]
}

export function readSchema(tier: Tier): SchemaTable[] {
  return parseSchema(readFileSync(new URL(`prisma/${tier}/schema.prisma`, PROJECT_ROOT), 'utf8'))
}

type Line = { text: string; comment: string }
type Block = { model: string; comment: string; lines: Line[] }
type Field = { name: string; type: string; list: boolean; optional: boolean; attributes: string; comment: string }

/** The models of a schema in its order. Enums, views and the rest of the language are not read. */
export function parseSchema(text: string): SchemaTable[] {
  const blocks = listBlocks(text)
  const models = new Map(blocks.map((block) => [block.model, { ...block, fields: block.lines.flatMap(parseField) }]))
  const tableName = (model: string) =>
    argumentOf(models.get(model)?.lines.find(({ text }) => text.startsWith('@@map'))?.text ?? '', '@@map') ?? model
  const columnName = (model: string, field: string) => {
    const found = models.get(model)?.fields.find(({ name }) => name === field)
    return argumentOf(found?.attributes ?? '', '@map') ?? field
  }

  return [...models.values()].map(({ model, comment, lines, fields }) => {
    const columnsOf = (names: string[]) => names.map((name) => columnName(model, name))
    const scalars = fields.filter(({ type }) => !models.has(type))
    return {
      name: tableName(model),
      comment,
      columns: scalars.map((field) => parseColumn(field, columnName(model, field.name))),
      indexes: [
        ...scalars.flatMap((field) => parseFieldIndexes(field, columnName(model, field.name))),
        ...lines.flatMap((line) => parseIndex(line, columnsOf)),
      ],
      relations: fields.flatMap(({ type, attributes }) => {
        const columns = listOf(attributes, 'fields')
        if (!models.has(type) || columns.length === 0) return []
        const references = listOf(attributes, 'references').map((name) => columnName(type, name))
        return [{ columns: columnsOf(columns), table: tableName(type), references }]
      }),
    }
  })
}

function listBlocks(text: string): Block[] {
  const blocks: Block[] = []
  let current: Block | null = null
  let comment: string[] = []
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    const model = /^model (\w+) \{$/.exec(line)?.[1]
    if (line.startsWith('///')) comment.push(line.slice(3).trim())
    else if (model) {
      current = { model, comment: comment.join(' '), lines: [] }
      blocks.push(current)
      comment = []
    } else if (line === '}') current = null
    else if (line && !line.startsWith('//')) {
      current?.lines.push({ text: line, comment: comment.join(' ') })
      comment = []
    }
  }
  return blocks
}

function parseField({ text, comment }: Line): Field[] {
  const [, name, type, list, optional, attributes] =
    /^(\w+)\s+(Unsupported\("[^"]*"\)|\w+)(\[\])?(\?)?\s*(.*)$/.exec(text) ?? []
  if (!name || !type) return []
  return [{ name, type, list: Boolean(list), optional: Boolean(optional), attributes: attributes ?? '', comment }]
}

function parseColumn({ type, list, optional, attributes, comment }: Field, name: string): SchemaColumn {
  const given = balancedArgument(attributes, '@default(')
  return {
    name,
    type: sqlType(type, attributes) + (list ? '[]' : ''),
    nullable: optional,
    defaultValue: given === null ? null : (/^dbgenerated\("(.*)"\)$/.exec(given)?.[1] ?? given),
    comment,
  }
}

function parseFieldIndexes({ attributes }: Field, name: string): SchemaIndex[] {
  const one = { columns: [{ name, descending: false }], where: null, comment: '' }
  if (/(^|\s)@id\b/.test(attributes)) return [{ ...one, kind: 'primary' }]
  if (/(^|\s)@unique\b/.test(attributes)) return [{ ...one, kind: 'unique' }]
  return []
}

const INDEX_KINDS = { '@@id': 'primary', '@@unique': 'unique', '@@index': 'index' } as const

function parseIndex({ text, comment }: Line, columnsOf: (names: string[]) => string[]): SchemaIndex[] {
  const [, attribute, list] = /^(@@id|@@unique|@@index)\((?:fields:\s*)?\[([^\]]*)\]/.exec(text) ?? []
  if (!attribute) return []
  const fields = (list ?? '').split(/,\s*(?![^(]*\))/).map((field) => field.trim())
  const names = columnsOf(fields.map((field) => /^\w+/.exec(field)?.[0] ?? field))
  return [
    {
      kind: INDEX_KINDS[attribute as keyof typeof INDEX_KINDS],
      columns: names.map((name, at) => ({ name, descending: /sort:\s*Desc/.test(fields[at] ?? '') })),
      where: /where:\s*raw\("((?:[^"\\]|\\.)*)"\)/.exec(text)?.[1] ?? null,
      comment,
    },
  ]
}

const SQL_TYPES: Record<string, string> = {
  String: 'text',
  Int: 'integer',
  BigInt: 'bigint',
  Boolean: 'boolean',
  Float: 'double precision',
  Decimal: 'numeric(65,30)',
  DateTime: 'timestamp(3)',
  Json: 'jsonb',
  Bytes: 'bytea',
}

const NATIVE_TYPES: Record<string, string> = { doubleprecision: 'double precision', decimal: 'numeric', bytea: 'bytea' }

function sqlType(type: string, attributes: string): string {
  const [, native, size = ''] = /@db\.(\w+)(\([\d, ]+\))?/.exec(attributes) ?? []
  if (native) return (NATIVE_TYPES[native.toLowerCase()] ?? native.toLowerCase()) + size.replaceAll(' ', '')
  return /^Unsupported\("(.*)"\)$/.exec(type)?.[1] ?? SQL_TYPES[type] ?? type
}

/** The quoted argument of `@map("…")`. */
function argumentOf(text: string, attribute: string): string | null {
  return new RegExp(`(?:^|\\s)${attribute}\\((?:name:\\s*)?"([^"]*)"`).exec(text)?.[1] ?? null
}

/** `fields: [a, b]` → a, b. */
function listOf(text: string, argument: string): string[] {
  const list = new RegExp(`\\b${argument}:\\s*\\[([^\\]]*)\\]`).exec(text)?.[1]
  return list?.split(',').map((name) => name.trim()) ?? []
}

/** What stands between `opening` and the parenthesis that closes it. */
function balancedArgument(text: string, opening: string): string | null {
  const start = text.indexOf(opening)
  if (start < 0) return null
  let depth = 1
  let end = start + opening.length
  while (end < text.length && depth > 0) {
    if (text[end] === '(') depth++
    if (text[end] === ')') depth--
    end++
  }
  return text.slice(start + opening.length, end - 1)
}
