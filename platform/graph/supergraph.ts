import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { composeServices } from '@apollo/composition'
import { Supergraph } from '@apollo/federation-internals'
import { type GraphQLSchema, parse } from 'graphql'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { addLiveSchema } from './liveSchema.ts'

const ROOT = new URL('../../', import.meta.url)
const SUPERGRAPH = new URL('gateway/supergraph.graphql', ROOT)

export type Composition = { sdl: string } | { errors: string[] }

/** Joins the four schemas into one supergraph. Addresses in it are names only: the gateway knows the real ones. */
export function composeSupergraph(readSchema: (tier: Tier) => string = readTierSchema): Composition {
  const services = TIERS.map((tier) => ({
    name: tier,
    url: `http://${tier}/graphql`,
    typeDefs: parse(readSchema(tier)),
  }))
  const result = composeServices(services)
  return result.errors ? { errors: result.errors.map(String) } : { sdl: `${result.supergraphSdl.trim()}\n` }
}

/** The committed schema of one tier. */
export function readTierSchema(tier: Tier): string {
  return readFileSync(new URL(`subgraphs/${tier}/schema.graphql`, ROOT), 'utf8')
}

/** Whether the committed supergraph is this one. */
export function isCommittedSupergraph(sdl: string): boolean {
  return existsSync(SUPERGRAPH) && readFileSync(SUPERGRAPH, 'utf8') === sdl
}

/** What clients see of the committed supergraph, subscriptions included. */
export function readCommittedGraph(): GraphQLSchema {
  return addLiveSchema(Supergraph.build(readFileSync(SUPERGRAPH, 'utf8')).apiSchema().toGraphQLJSSchema())
}

export function writeSupergraph(sdl: string) {
  writeFileSync(SUPERGRAPH, sdl)
}
