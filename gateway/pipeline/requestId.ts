import { randomUUID } from 'node:crypto'

/** The client's own id if it sent a harmless one, so that its logs and ours can be joined. */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && /^[\w-]{8,64}$/.test(given) ? given : randomUUID()
}
