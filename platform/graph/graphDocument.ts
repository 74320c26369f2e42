import {
  type GraphQLArgument,
  type GraphQLEnumType,
  type GraphQLField,
  type GraphQLInputObjectType,
  type GraphQLInterfaceType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
  isUnionType,
} from 'graphql'

/** Everything a client can ask, as a page: each type with its fields, arguments and what their descriptions say. */
export function renderGraphDocument(schema: GraphQLSchema): string {
  const types = Object.values(schema.getTypeMap()).filter(
    (type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type),
  )
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].filter(
    (type) => type != null,
  )
  const others = types.filter((type) => !roots.includes(type as GraphQLObjectType))
  const kinds: [string, GraphQLNamedType[]][] = [
    ['Objects', others.filter((type) => isObjectType(type) && !isPaging(type))],
    ['Interfaces and unions', others.filter((type) => isInterfaceType(type) || isUnionType(type))],
    ['Inputs', others.filter(isInputObjectType)],
    ['Enums', others.filter(isEnumType)],
    ['Scalars', others.filter(isScalarType)],
  ]
  const sections = kinds
    .filter(([, members]) => members.length > 0)
    .map(([title, members]) => [`## ${title}`, ...members.sort(byName).map(renderType)].join('\n\n'))
  return `${[INTRODUCTION, ...roots.map((root) => `## ${root.name}\n\n${renderFields(root)}`), ...sections].join('\n\n')}\n`
}

const INTRODUCTION = `# The graph

Generated from the four tiers' \`schema.graphql\` and the gateway's subscriptions by \`npm run docs\`. A page of a list is a
connection (\`nodes\`, \`edges\`, \`pageInfo\`, \`totalCount\`); connections and their edges are not listed below.`

/** Connections and their edges all look the same. */
function isPaging({ name }: GraphQLNamedType): boolean {
  return /(Connection|Edge)$/.test(name)
}

function byName(a: GraphQLNamedType, b: GraphQLNamedType): number {
  return a.name < b.name ? -1 : 1
}

function renderType(type: GraphQLNamedType): string {
  const parts = [`### ${type.name}`]
  if (type.description) parts.push(type.description)
  if (isUnionType(type)) parts.push(`One of ${type.getTypes().map(linkTo).join(', ')}.`)
  if (isObjectType(type) || isInterfaceType(type) || isInputObjectType(type)) parts.push(renderFields(type))
  if (isEnumType(type)) parts.push(renderValues(type))
  return parts.join('\n\n')
}

function renderFields(type: GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType): string {
  const fields: (GraphQLField<unknown, unknown> | ReturnType<GraphQLInputObjectType['getFields']>[string])[] =
    Object.values(type.getFields())
  const rows = fields.map((field) => {
    const args = 'args' in field && field.args.length > 0 ? `(${field.args.map(renderArgument).join(', ')})` : ''
    const named = getNamedType(field.type)
    const target = isPaging(named) ? '' : linkTarget(named)
    const shown = target ? `[\`${field.type}\`](${target})` : `\`${field.type}\``
    return `| \`${field.name}${args}\` | ${shown} | ${cell(field.description)} |`
  })
  return ['| field | type | |', '| --- | --- | --- |', ...rows].join('\n')
}

function renderArgument({ name, type, defaultValue }: GraphQLArgument): string {
  return `${name}: ${type}${defaultValue === undefined ? '' : ` = ${JSON.stringify(defaultValue)}`}`
}

function renderValues(type: GraphQLEnumType): string {
  return type
    .getValues()
    .map(({ name, description }) => `- \`${name}\`${description ? `: ${cell(description)}` : ''}`)
    .join('\n')
}

function linkTo(type: GraphQLNamedType): string {
  return `[${type.name}](${linkTarget(type)})`
}

function linkTarget(type: GraphQLNamedType): string {
  return isSpecifiedScalarType(type) ? '' : `#${type.name.toLowerCase()}`
}

function cell(text: string | null | undefined): string {
  return (text ?? '').replaceAll('\n', ' ').replaceAll('|', '\\|')
}
