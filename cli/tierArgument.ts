import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { StartProblem } from '#platform/local/startProblem.ts'

/** @throws StartProblem naming the four tiers when `value` is none of them */
export function parseTier(value: string): Tier {
  const tier = TIERS.find((name) => name === value)
  if (!tier) throw new StartProblem(`"${value}" is no tier: ${TIERS.join(', ')}`)
  return tier
}
