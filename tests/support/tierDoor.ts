import type { FastifyInstance } from 'fastify'
import { CALLER_HEADER, type Caller, signCaller } from '#platform/caller/caller.ts'
import type { Tier } from '#platform/contracts/tiers.ts'
import { findFreePort } from './freePort.ts'

/** Asks one question on behalf of a caller; gives back the answer's body. */
export type AskTier<Answer> = (query: string, variables: object, caller: Caller) => Promise<Answer>

/**
 * Has a tier listen, and asks it as the gateway does.
 * @param keyOf the key of the edge from a process to this tier
 */
export async function openTierDoor<Answer>(
  app: FastifyInstance,
  tier: Tier,
  keyOf: (from: string) => Buffer,
): Promise<AskTier<Answer>> {
  const port = await findFreePort()
  await app.listen({ host: '127.0.0.1', port })
  return async (query, variables, caller) => {
    const edge = { from: caller.from, to: tier, key: keyOf(caller.from) }
    const answer = await fetch(`http://127.0.0.1:${port}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [CALLER_HEADER]: signCaller(caller, edge) },
      body: JSON.stringify({ query, variables }),
    })
    return (await answer.json()) as Answer
  }
}
