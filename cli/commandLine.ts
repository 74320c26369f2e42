import { z } from 'zod'
import { DEMO_TENANTS } from '#platform/contracts/demo.ts'
import { AppError } from '#platform/errors.ts'

/** A mistake in the command line, to be told in one line. */
export class CliProblem extends Error {}

/** What a person can do about an error of a command that works on the running platform; a line, or nothing. */
export function adviceFor(error: unknown, command: string): string {
  if (!(error instanceof AppError)) return `(npm run ${command} -- --help)\n`
  if (error.code === 'UNAVAILABLE') {
    return 'Is the platform running? Start it with npm start (with the same GATEWAY_PORT and DATA_DIR), then repeat the line.\n'
  }
  if (error.code === 'UNAUTHENTICATED')
    return 'Was the platform started with another DATA_DIR? Tokens are signed with its key.\n'
  return ''
}

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
