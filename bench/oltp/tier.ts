import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { Pool } from 'undici'
import { CALLER_HEADER, type Caller, signCaller } from '#platform/caller/caller.ts'
import { parseConfig } from '#platform/config.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import { buildOltp } from '../../subgraphs/oltp/app.ts'
import { oltpConfig } from '../../subgraphs/oltp/config.ts'
import type { BenchDatabase } from '../support/tierDatabase.ts'

const USER = '0199c0de-0000-7000-8000-000000000001'
const NOBODY = 'http://127.0.0.1:1/graphql'

export type OltpUnderTest = Awaited<ReturnType<typeof openOltp>>

/** The oltp tier as it is shipped, on one connection, so that what PostgreSQL counts is what one request did. */
export async function openOltp({ url, systemUrl }: BenchDatabase) {
  const key = () => randomBytes(32).toString('base64')
  const gatewayKey = key()
  const config = parseConfig(oltpConfig, {
    LOG_LEVEL: 'warn',
    DATABASE_POOL_SIZE: '1',
    OLTP_DATABASE_URL: url,
    OLTP_SYSTEM_DATABASE_URL: systemUrl,
    CALLER_KEY_GATEWAY_OLTP: gatewayKey,
    CALLER_KEY_WORKER_OLTP: key(),
    CALLER_KEY_CLI_OLTP: key(),
    CALLER_KEY_OLTP_CONTENT: key(),
    CALLER_KEY_OLTP_QUEUE: key(),
    TRACKING_KEY: key(),
    VAULT: `file:${tmpdir()}`,
    CONTENT_URL: NOBODY,
    QUEUE_URL: NOBODY,
  })
  const { subgraph, db } = await buildOltp(config)
  const port = await findFreePort()
  await subgraph.app.listen({ host: '127.0.0.1', port })
  const http = new Pool(`http://127.0.0.1:${port}`, { connections: 1 })
  const edge = { from: 'gateway', to: 'oltp' as const, key: Buffer.from(gatewayKey, 'base64') }
  return {
    db,
    /** The data of a query of a tenant's owner, or of staff where no tenant is named; throws when there are errors. */
    async ask(query: string, tenantId: string | null): Promise<Record<string, unknown>> {
      const who = tenantId === null ? { kind: 'staff', roles: ['operator'] } : { kind: 'user', roles: ['owner'] }
      const caller = { ...who, from: 'gateway', tenantId, userId: USER, requestId: 'bench' } as Caller
      const headers = { [CALLER_HEADER]: signCaller(caller, edge), 'content-type': 'application/json' }
      const answer = await http.request({ path: '/graphql', method: 'POST', headers, body: JSON.stringify({ query }) })
      const { data, errors } = (await answer.body.json()) as { data: Record<string, unknown>; errors?: unknown }
      if (errors) throw new Error(`${query}: ${JSON.stringify(errors)}`)
      return data
    },
    async close() {
      await http.close()
      await subgraph.close()
    },
  }
}
