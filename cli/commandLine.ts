import { z } from 'zod'
import { DEMO_TENANTS } from '#platform/contracts/demo.ts'

/** A mistake in the command line, to be told in one line. */
export class CliProblem extends Error {}

/**
 * A tenant as the command line names it: `demo`, `rival` or a UUID.
 * @throws CliProblem when it is neither
 */
export function readTenant(text: string): string {
  const demo = (DEMO_TENANTS as Record<string, string>)[text]
  if (demo) return demo
  if (z.guid().safeParse(text).success) return text.toLowerCase()
  throw new CliProblem(`--tenant is ${Object.keys(DEMO_TENANTS).join(', ')} or a UUID, not ${text}`)
}
