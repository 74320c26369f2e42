import { setTimeout as sleep } from 'node:timers/promises'

/** PostgreSQL rolled the transaction back as a whole: serialization failure, deadlock. */
const ROLLED_BACK = new Set(['40001', '40P01'])

/** The connection or the server is gone; whether the last statement ran is unknown. */
const CONNECTION_LOST = new Set(['57P01', '57P02', '57P03', '08000', '08001', '08003', '08006', 'ECONNRESET', 'EPIPE'])

/** As above, under Prisma's names: write conflict; closed, unreachable, timed out. */
const PRISMA_ROLLED_BACK = new Set(['P2034'])
const PRISMA_CONNECTION_LOST = new Set(['P1001', 'P1002', 'P1008', 'P1017'])

const LOST_CONNECTION_TEXT = /^(Connection terminated|Client has encountered a connection error|Server has closed)/

/** Whether PostgreSQL undid the whole transaction, so that running it again is safe whatever it wrote. */
export function isRolledBack(error: unknown): boolean {
  const code = codeOf(error)
  return ROLLED_BACK.has(code) || PRISMA_ROLLED_BACK.has(code)
}

/** Whether the database could not be reached or went away. */
export function isConnectionLost(error: unknown): boolean {
  const code = codeOf(error)
  if (CONNECTION_LOST.has(code) || PRISMA_CONNECTION_LOST.has(code) || code === 'ECONNREFUSED') return true
  return error instanceof Error && LOST_CONNECTION_TEXT.test(error.message)
}

/** Whether a prepared statement no longer fits its connection: a table changed under it, or someone deallocated it. */
export function isStatementStale(error: unknown): boolean {
  const code = codeOf(error)
  return code === '26000' || (code === '0A000' && error instanceof Error && error.message.startsWith('cached plan'))
}

/**
 * Runs `work` again, up to `retries` more times, after errors that `mayRetry` allows; waits 10–30 ms, doubling, between.
 * Whoever calls it promises that a repeat is harmless after such an error.
 */
export async function withRetries<Result>(
  work: () => Promise<Result>,
  { retries, mayRetry = isRolledBack }: { retries: number; mayRetry?: (error: unknown) => boolean },
): Promise<Result> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt >= retries || !mayRetry(error)) throw error
      await sleep((10 + Math.random() * 20) * 2 ** attempt)
    }
  }
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
