import type pg from 'pg'
import { currentTenant } from '#platform/database/tenantScope.ts'
import type { PrismaClient } from '#prisma/oltp'
import type { Subject } from './runner.ts'

const SET_SESSION = "SELECT set_config('app.current_tenant_id', $1, false)"

/** Mistakes that such a pool or client is easily made with. A test of isolation that misses them proves nothing. */
export const PLANTED_LEAKS: Record<string, (sound: Subject, pool: pg.Pool, plain: PrismaClient) => Subject> = {
  'the tenant is set once per connection, for the session': (sound, pool) => ({
    ...sound,
    sql: queryThrough(sound, async (text, values) => {
      const client = (await pool.connect()) as pg.PoolClient & { tenant?: string }
      try {
        if (!client.tenant) {
          client.tenant = currentTenant()
          await client.query(SET_SESSION, [client.tenant])
        }
        return await client.query(text, values as unknown[])
      } finally {
        client.release()
      }
    }),
  }),

  'the tenant is set and the statement sent over whichever connections are free': (sound, pool) => ({
    ...sound,
    sql: queryThrough(sound, async (text, values) => {
      await pool.query(SET_SESSION, [currentTenant()])
      return pool.query(text, values as unknown[])
    }),
  }),

  'the tenant is read where the connection arrives, in the context of whoever gave it back': (sound, pool) => ({
    ...sound,
    sql: queryThrough(
      sound,
      (text, values) =>
        new Promise((resolve, reject) => {
          pool.connect(async (error, client, release) => {
            if (error || !client) return reject(error)
            try {
              await client.query(SET_SESSION, [currentTenant()])
              resolve(await client.query(text, values as unknown[]))
            } catch (failure) {
              reject(failure)
            } finally {
              release()
            }
          })
        }),
    ),
  }),

  'findUnique goes to Prisma as it is': (sound, _pool, plain) => ({
    ...sound,
    prisma: withDelegate(sound.prisma, { findUnique: (args) => plain.template.findUnique(args as never) }),
  }),
}

type Ask = (text: string | pg.QueryConfig, values?: readonly unknown[]) => Promise<pg.QueryResult>

function queryThrough(sound: Subject, query: Ask): Subject['sql'] {
  return { query: query as Subject['sql']['query'], transaction: sound.sql.transaction.bind(sound.sql) }
}

function withDelegate(
  prisma: Subject['prisma'],
  methods: Record<string, (args: unknown) => unknown>,
): Subject['prisma'] {
  const template = new Proxy(prisma.template, {
    get: (target, name) => methods[name as string] ?? Reflect.get(target, name),
  })
  return new Proxy(prisma, { get: (target, name) => (name === 'template' ? template : Reflect.get(target, name)) })
}
