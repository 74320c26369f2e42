import {
  type FieldDefinitionNode,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isObjectType,
  isUnionType,
  Kind,
  type ObjectTypeDefinitionNode,
  parse,
} from 'graphql'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { readCommittedGraph, readTierSchema } from '#platform/graph/supergraph.ts'

/** The schema that clients see, of the committed supergraph. */
export const readApiSchema = readCommittedGraph

/** One field as a tier's schema defines it. */
export type TierField = { tier: Tier; type: string; field: FieldDefinitionNode }

/** All fields of all object types of the four schemas. */
export function readTierFields(): TierField[] {
  return TIERS.flatMap((tier) =>
    parse(readTierSchema(tier))
      .definitions.filter((node): node is ObjectTypeDefinitionNode => node.kind === Kind.OBJECT_TYPE_DEFINITION)
      .flatMap(({ name, fields = [] }) => fields.map((field) => ({ tier, type: name.value, field }))),
  )
}

/** Names of the types that the four schemas hide from clients. */
export function readHiddenTypes(): string[] {
  return TIERS.flatMap((tier) =>
    parse(readTierSchema(tier)).definitions.flatMap((node) =>
      'name' in node && node.name && 'directives' in node && isHidden(node) ? [node.name.value] : [],
    ),
  )
}

export function isHidden(node: { readonly directives?: readonly { name: { value: string } }[] }): boolean {
  return node.directives?.some((directive) => directive.name.value === 'inaccessible') ?? false
}

/** Names of the types that some field, argument, input field or union of the schema leads to. */
export function usedTypes(schema: GraphQLSchema): Set<string> {
  const used = new Set<string>()
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__')) continue
    if (isUnionType(type)) for (const member of type.getTypes()) used.add(member.name)
    if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields())) used.add(getNamedType(field.type).name)
    }
    if (!isObjectType(type)) continue
    for (const field of Object.values(type.getFields())) {
      used.add(getNamedType(field.type).name)
      for (const argument of field.args) used.add(getNamedType(argument.type).name)
    }
  }
  return used
}
