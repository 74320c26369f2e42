import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { codegen } from '@graphql-codegen/core'
import * as typescriptPlugin from '@graphql-codegen/typescript'
import * as resolversPlugin from '@graphql-codegen/typescript-resolvers'
import {
  buildASTSchema,
  type DocumentNode,
  type GraphQLObjectType,
  type GraphQLSchema,
  isObjectType,
  parse,
  visit,
} from 'graphql'
import type { Tier } from '#platform/contracts/tiers.ts'

const ROOT = new URL('../../', import.meta.url)

const ROOT_TYPES = /^(__.*|Query|Mutation)$/

/** What resolvers get and may give for each scalar. */
const SCALARS = {
  ID: { input: 'string', output: 'string' },
  BigInt: { input: 'bigint | number', output: 'bigint | number' },
  DateTime: { input: 'Date', output: 'Date | string' },
  EmailAddress: 'string',
  JSON: 'unknown',
  UUID: 'string',
  // Federation's own.
  _FieldSet: 'string',
}

/**
 * Writes the types of one tier's resolvers to generated/graphql/<tier>.ts, imported as `#graphql/<tier>`.
 * A tier says in subgraphs/<tier>/mappers.json which of its own types stand behind which GraphQL type:
 * `{ "Campaign": "services/campaigns.ts#CampaignRow" }`. A type without one is a part of itself (its key is there, any
 * other field may be left to a resolver); a connection is the platform's `Connection` over its node. `Context` comes
 * from subgraphs/<tier>/context.ts.
 */
export async function generateGraphqlTypes(tier: Tier): Promise<void> {
  mkdirSync(new URL('generated/graphql/', ROOT), { recursive: true })
  writeFileSync(new URL(`generated/graphql/${tier}.ts`, ROOT), await renderGraphqlTypes(tier))
}

/** The text that `generateGraphqlTypes` writes; for telling whether the file is up to date. */
export async function renderGraphqlTypes(tier: Tier): Promise<string> {
  const folder = new URL(`subgraphs/${tier}/`, ROOT)
  const typeDefs = withInternalEnums(parse(readFileSync(new URL('schema.graphql', folder), 'utf8')))
  // Federation's own types stay out of it: nobody resolves them by hand.
  const schema = buildASTSchema(typeDefs, { assumeValidSDL: true })
  return codegen({
    filename: `generated/graphql/${tier}.ts`,
    schema: typeDefs,
    schemaAst: schema,
    documents: [],
    plugins: [{ typescript: {} }, { resolvers: {} }],
    pluginMap: { typescript: typescriptPlugin, resolvers: resolversPlugin },
    config: {
      scalars: SCALARS,
      strictScalars: true,
      enumsAsTypes: true,
      showUnusedMappers: false,
      useTypeImports: true,
      federation: true,
      contextType: `../../subgraphs/${tier}/context.ts#Context`,
      mappers: { ...defaultMappers(schema), ...ownMappers(tier, folder) },
      resolversNonOptionalTypename: { unionMember: true },
      inputMaybeValue: 'T | null | undefined',
    },
  })
}

/** Enums as resolvers see them: lower case, just as the subgraph server maps them. */
function withInternalEnums(typeDefs: DocumentNode): DocumentNode {
  return visit(typeDefs, {
    EnumValueDefinition: (node) => ({ ...node, name: { ...node.name, value: node.name.value.toLowerCase() } }),
    EnumValue: (node) => ({ ...node, value: node.value.toLowerCase() }),
  })
}

function defaultMappers(schema: GraphQLSchema): Record<string, string> {
  const objects = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !ROOT_TYPES.test(type.name))
  return Object.fromEntries(objects.map((type) => [type.name, defaultMapper(schema, type as GraphQLObjectType)]))
}

function defaultMapper(schema: GraphQLSchema, { name, astNode }: GraphQLObjectType): string {
  const node = name.replace(/(Connection|Edge)$/, '')
  if (node !== name && isObjectType(schema.getType(node))) {
    const kind = name.endsWith('Edge') ? 'Edge' : 'Connection'
    return `import('../../platform/database/pages.ts').${kind}<ResolversParentTypes['${node}']>`
  }
  const key = astNode?.directives?.find((directive) => directive.name.value === 'key')?.arguments?.[0]?.value
  return key?.kind === 'StringValue' ? `Partial<{T}> & { ${key.value}: string }` : 'Partial<{T}>'
}

function ownMappers(tier: Tier, folder: URL): Record<string, string> {
  const file = new URL('mappers.json', folder)
  if (!existsSync(file)) return {}
  const mappers: Record<string, string> = JSON.parse(readFileSync(file, 'utf8'))
  return Object.fromEntries(
    Object.entries(mappers).map(([type, source]) => [
      type,
      source.includes('#') ? `../../subgraphs/${tier}/${source}` : source,
    ]),
  )
}
