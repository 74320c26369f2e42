import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
} from 'graphql'
import { makeMail } from '../../support/mails.ts'

/**
 * A selection of everything a type tells: its scalars, and its objects' so many levels down. Wrappers (connections,
 * objects with nothing but scalars) do not count as a level. Empty for a scalar.
 */
export function selectAll(type: GraphQLNamedType, levels: number): string {
  if (isUnionType(type)) {
    // Members may have fields of one name and different types: each gets names of its own.
    const members = type
      .getTypes()
      .map((member) => `... on ${member.name} { ${selectFields(member, levels - 1, `${member.name}_`)} }`)
    return `{ __typename ${members.join(' ')} }`
  }
  return isObjectType(type) ? `{ ${selectFields(type, levels)} }` : ''
}

function selectFields(type: GraphQLObjectType, levels: number, prefix = ''): string {
  const fields = Object.values(type.getFields()).flatMap((field) => {
    const selected = selectField(field, type.name.endsWith('Connection') ? levels + 1 : levels)
    return selected ? [prefix ? `${prefix}${field.name}: ${selected}` : selected] : []
  })
  return ['__typename', ...fields].join(' ')
}

function selectField(field: GraphQLField<unknown, unknown>, levels: number): string | null {
  const type = getNamedType(field.type)
  const call = `${field.name}${fillArguments(field.args)}`
  if (isLeafType(type)) return call
  // The same nodes again.
  if (type.name.endsWith('Edge')) return `${call} { cursor }`
  if (type.name.endsWith('Connection')) return levels > 0 ? `${call} ${selectAll(type, levels - 1)}` : null
  if (isObjectType(type) && isPlain(type)) return `${call} ${selectAll(type, 0)}`
  return levels > 0 ? `${call} ${selectAll(type, levels - 1)}` : null
}

/** Whether a type consists of scalars alone. */
function isPlain(type: GraphQLObjectType): boolean {
  return Object.values(type.getFields()).every((field) => isLeafType(getNamedType(field.type)))
}

function fillArguments(args: readonly GraphQLArgument[]): string {
  const filled = args.flatMap((argument) => {
    if (argument.name === 'first') return ['first: 3']
    return isRequiredArgument(argument)
      ? [`${argument.name}: ${asLiteral(fillInput(argument.type, argument.name))}`]
      : []
  })
  return filled.length > 0 ? `(${filled.join(', ')})` : ''
}

/** Values of required texts that must mean something. */
const TEXTS: Record<string, string> = {
  raw: makeMail({ messageId: 'everybody@elsewhere.example' }),
  jobType: 'refreshViews',
  queueName: 'analytics-processing',
  cronExpression: '0 3 * * *',
  mimeType: 'text/csv',
  domain: 'shop.elsewhere.example',
  words: 'private',
}

/** What an input can't do without although each of its fields may be left out. */
const NEEDED: Record<string, (ids: (coordinate: string) => unknown) => object> = {
  ImportLeadsInput: () => ({ csv: 'email\nsomeone@elsewhere.example\n' }),
  CreateTemplateInput: () => ({ bodyText: 'x' }),
  AddSuppressionInput: () => ({ email: 'never@elsewhere.example' }),
  AddCampaignStepInput: (ids) => ({ templateId: ids('AddCampaignStepInput.templateId') }),
  SendTestInput: (ids) => ({ templateId: ids('SendTestInput.templateId') }),
}

/**
 * A value for an input that is required and does not matter: what is required within it is filled too. `ids` gives the
 * value of an id by the coordinate of its place.
 */
export function fillInput(
  type: GraphQLInputType,
  name: string,
  ids: (coordinate: string) => unknown = () => 'x',
  owner = '',
): unknown {
  if (isNonNullType(type)) return fillInput(type.ofType, name, ids, owner)
  if (isListType(type)) return [fillInput(type.ofType, name, ids, owner)]
  if (isEnumType(type)) return type.getValues()[0]?.name
  if (isInputObjectType(type)) {
    const required = Object.values(type.getFields()).filter(isRequiredInputField)
    const filled = required.map((field) => [field.name, fillInput(field.type, field.name, ids, type.name)])
    return { ...NEEDED[type.name]?.(ids), ...Object.fromEntries(filled) }
  }
  switch (type.name) {
    case 'ID':
    case 'UUID':
      return ids(`${owner}.${name}`)
    case 'Int':
    case 'Float':
      return 1
    case 'Boolean':
      return false
    case 'BigInt':
      return '1'
    case 'DateTime':
      return name === 'to' ? '2100-01-01T00:00:00Z' : '2000-01-01T00:00:00Z'
    case 'JSON':
      return {}
    case 'EmailAddress':
      return 'someone@elsewhere.example'
    default:
      return TEXTS[name] ?? 'x'
  }
}

/** A value as GraphQL writes it; a text of capitals is an enum's. */
function asLiteral(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(asLiteral).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([name, part]) => `${name}: ${asLiteral(part)}`)
      .join(', ')} }`
  }
  return typeof value === 'string' && /^[A-Z][A-Z_]*$/.test(value) ? value : JSON.stringify(value)
}
