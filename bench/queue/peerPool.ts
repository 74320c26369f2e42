import pg from 'pg'
import { POOL_SIZE } from './contender.ts'

/** Connections to a peer's database, with what is asked of it between rounds. */
export function openPeerPool(url: string) {
  const pool = new pg.Pool({ connectionString: url, max: POOL_SIZE })
  // Connections may still be closing when the server stops.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return {
    pool,
    async isTrue(expression: string): Promise<boolean> {
      const { rows } = await pool.query<{ is: boolean }>({
        name: expression.slice(0, 60),
        text: `SELECT ${expression} AS is`,
      })
      return rows[0]?.is ?? false
    },
    async count(from: string): Promise<number> {
      const { rows } = await pool.query<{ count: string }>(`SELECT count(*) FROM ${from}`)
      return Number(rows[0]?.count)
    },
  }
}
