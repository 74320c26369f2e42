import { isInterfaceType, isObjectType, isUnionType, type Schema } from '@apollo/federation-internals'
import {
  type DocumentNode,
  type GraphQLSchema,
  getNamedType,
  isCompositeType,
  isInterfaceType as isGraphqlInterface,
  separateOperations,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql'

/** How long an answer may be given again, and to whom: to a tenant's users with the same roles, or to one user. */
export type CachePolicy = { maxAgeSeconds: number; scope: 'PUBLIC' | 'PRIVATE' }

type Hint = { maxAge?: number; scope?: CachePolicy['scope']; inheritMaxAge?: boolean }

/** What the schema says with @cacheControl, of types (`Plan`) and fields (`Query.plans`). */
export type CacheHints = ReadonlyMap<string, Hint>

const NOT_AT_ALL: CachePolicy = { maxAgeSeconds: 0, scope: 'PUBLIC' }

/** Reads the hints that the subgraphs' schemas brought into a supergraph. */
export function readCacheHints(schema: Schema): CacheHints {
  const hints = new Map<string, Hint>()
  if (!schema.directive('cacheControl')) return hints
  for (const type of schema.types()) {
    if (!isObjectType(type) && !isInterfaceType(type) && !isUnionType(type)) continue
    const [ofType] = type.appliedDirectivesOf('cacheControl')
    if (ofType) hints.set(type.name, ofType.arguments())
    if (isUnionType(type)) continue
    for (const field of type.fields()) {
      const [ofField] = field.appliedDirectivesOf('cacheControl')
      if (ofField) hints.set(field.coordinate, ofField.arguments())
    }
  }
  return hints
}

/**
 * The policy of one operation of a valid document, by the rules of Apollo's @cacheControl: the shortest age of all
 * fields decides; a root field, or one that answers objects, has none unless the schema gives it one. What @skip and
 * @include might leave out counts as asked.
 * Source: https://www.apollographql.com/docs/apollo-server/performance/caching
 */
export function cachePolicyOf(
  document: DocumentNode,
  operationName: string | undefined,
  { apiSchema, hints }: { apiSchema: GraphQLSchema; hints: CacheHints },
): CachePolicy {
  if (hints.size === 0) return NOT_AT_ALL
  let maxAgeSeconds = Number.POSITIVE_INFINITY
  let scope: CachePolicy['scope'] = 'PUBLIC'
  const typeInfo = new TypeInfo(apiSchema)
  visit(
    separateOperations(document)[operationName ?? ''] ?? document,
    visitWithTypeInfo(typeInfo, {
      Field({ name: { value: name } }) {
        const parent = typeInfo.getParentType()
        const type = getNamedType(typeInfo.getType())
        if (!parent || !type || name.startsWith('__')) return
        // An interface's field may be answered by any type that has it.
        const owners = isGraphqlInterface(parent) ? [parent, ...apiSchema.getPossibleTypes(parent)] : [parent]
        for (const owner of owners) {
          const hint = { ...hints.get(type.name), ...hints.get(`${owner.name}.${name}`) }
          const needsOwn = owner === apiSchema.getQueryType() || isCompositeType(type)
          const maxAge = hint.maxAge ?? (needsOwn && !hint.inheritMaxAge ? 0 : Number.POSITIVE_INFINITY)
          maxAgeSeconds = Math.min(maxAgeSeconds, maxAge)
          if (hint.scope === 'PRIVATE') scope = 'PRIVATE'
        }
      },
    }),
  )
  return Number.isFinite(maxAgeSeconds) ? { maxAgeSeconds, scope } : NOT_AT_ALL
}
