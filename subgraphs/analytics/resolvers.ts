import type { Resolvers } from '#graphql/analytics'
import { entityResolvers } from './resolvers/entities.ts'
import { factResolvers } from './resolvers/facts.ts'
import { Mutation } from './resolvers/internal.ts'
import { Query } from './resolvers/queries.ts'
import { recordResolvers } from './resolvers/records.ts'

/** Every field of this tier that is more than a property of its parent. */
export const resolvers: Resolvers = { Query, Mutation, ...entityResolvers, ...factResolvers, ...recordResolvers }
