import { createDecipheriv } from 'node:crypto'
import { brotliDecompressSync } from 'node:zlib'
import DataLoader from 'dataloader'
import { PrismaClient } from '#prisma/content'
import { type Asker, buildStockSchema, makePage, type Resolvers, rowLoader, type StockSubgraph } from './subgraph.ts'
import { forTenant, openAdapter } from './tenantPrisma.ts'

const NEWEST_FIRST = [{ createdAt: 'desc' as const }, { id: 'desc' as const }]

type Context = ReturnType<typeof makeContext>
type Hash = Uint8Array<ArrayBuffer>

const prisma = new PrismaClient({ adapter: openAdapter() })
type Db = typeof prisma

function makeContext({ tenantId, userId }: Asker) {
  const db = forTenant(prisma, tenantId)
  return {
    tenantId,
    userId,
    db,
    objects: new DataLoader(async (storageKeys: readonly string[]) => {
      const rows = await db.contentObject.findMany({ where: { tenantId, storageKey: { in: [...storageKeys] } } })
      const byKey = new Map(rows.map((row) => [row.storageKey, row]))
      return storageKeys.map((key) => byKey.get(key) ?? null)
    }),
    bodies: new DataLoader(
      async (hashes: readonly Hash[]) => {
        const rows = await db.contentBlob.findMany({ where: { tenantId, hash: { in: [...hashes] } } })
        const texts = await Promise.all(
          rows.map(async (row) => {
            const opened = unseal(row.bytes as Hash, await dataKeyOf(db, tenantId, row.keyVersion), row.hash)
            const bytes = row.codec === 'brotli' ? brotliDecompressSync(opened) : opened
            return [nameOf(row.hash), bytes.toString('utf8')] as const
          }),
        )
        const byHash = new Map(texts)
        return hashes.map((hash) => byHash.get(nameOf(hash)) ?? null)
      },
      { cacheKeyFn: nameOf },
    ),
    attachmentsOf: new DataLoader(async (storageKeys: readonly string[]) => {
      const rows = await db.attachment.findMany({
        where: { tenantId, storageKey: { in: [...storageKeys] } },
        orderBy: { position: 'asc' },
      })
      return storageKeys.map((key) => rows.filter(({ storageKey }) => storageKey === key))
    }),
    attachments: rowLoader((ids) => db.attachment.findMany({ where: { tenantId, id: { in: ids } } })),
  }
}

const nameOf = (hash: Hash) => Buffer.from(hash).toString('hex')

const dataKeys = new Map<string, Promise<Buffer>>()

/** The key a tenant's content is sealed with, itself sealed with the master key; kept in memory, as ours is. */
function dataKeyOf(db: Db, tenantId: string, version: number): Promise<Buffer> {
  const name = `${tenantId}/${version}`
  const read = async () => {
    const row = await db.tenantKey.findUniqueOrThrow({ where: { tenantId_version: { tenantId, version } } })
    const masterKey = Buffer.from(process.env.CONTENT_MASTER_KEY ?? '', 'base64')
    return unseal(row.wrappedDataKey, masterKey, Buffer.from(`${tenantId}/data`))
  }
  const key = dataKeys.get(name) ?? read()
  dataKeys.set(name, key)
  return key
}

/** AES-256-GCM: nonce, tag, ciphertext. */
function unseal(sealed: Uint8Array, key: Buffer, label: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(label)
  decipher.setAuthTag(sealed.subarray(12, 28))
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()])
}

type ObjectRow = { storageKey: string; textHash: Hash | null; htmlHash: Hash | null; attachmentCount: number }

const resolvers = {
  Query: {
    notifications: async (_: unknown, { first }: { first: number }, { db, tenantId, userId }: Context) => {
      const where = { tenantId, userId, deletedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }] }
      return makePage(await db.notification.findMany({ where, orderBy: NEWEST_FIRST, take: first + 1 }), first)
    },
  },
  ContentObject: {
    __resolveReference: ({ storageKey }: ObjectRow, { objects }: Context) => objects.load(storageKey),
    text: ({ textHash }: ObjectRow, _: unknown, { bodies }: Context) => textHash && bodies.load(textHash),
    html: ({ htmlHash }: ObjectRow, _: unknown, { bodies }: Context) => htmlHash && bodies.load(htmlHash),
    attachments: ({ storageKey, attachmentCount }: ObjectRow, _: unknown, { attachmentsOf }: Context) =>
      attachmentCount > 0 ? attachmentsOf.load(storageKey) : [],
  },
  Attachment: { __resolveReference: ({ id }: { id: string }, { attachments }: Context) => attachments.load(id) },
}

export const content: StockSubgraph = { schema: buildStockSchema('content', resolvers as Resolvers), makeContext }
