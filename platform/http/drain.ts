import type { IncomingMessage } from 'node:http'

/**
 * Reads what is left of a request's body and drops it: a sender that is still sending when it is refused may be cut off
 * before it hears why. Ends early for a sender that has gone, and at `most` bytes: then closing the connection is all
 * that is left.
 */
export async function drainBody(request: IncomingMessage, most: number): Promise<void> {
  let left = most
  try {
    for await (const bytes of request.iterator({ destroyOnReturn: false })) {
      left -= (bytes as Buffer).length
      if (left < 0) return
    }
  } catch {
    // Nobody is there to hear anything.
  }
}
