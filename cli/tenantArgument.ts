import { z } from 'zod'
import { DEMO_TENANTS } from '#platform/contracts/demo.ts'

/**
 * A tenant as the command line names it: `demo`, `rival` or a UUID.
 * @throws Error in one line when it is neither
 */
export function readTenant(text: string): string {
  const demo = (DEMO_TENANTS as Record<string, string>)[text]
  if (demo) return demo
  if (z.guid().safeParse(text).success) return text.toLowerCase()
  throw new Error(`--tenant is ${Object.keys(DEMO_TENANTS).join(', ')} or a UUID, not ${text}`)
}
