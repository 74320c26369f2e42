import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { AppError } from '#platform/errors.ts'

/** What an address under /files/ lets its bearer do, until when: no other proof is asked for there. */
export type FileLink = {
  /** `put` the bytes of an upload; `get` a stored file, or what was `attached` to a mail. */
  does: 'put' | 'get' | 'attached'
  tenantId: string
  /** Who asked for the address. */
  userId: string | null
  /** Id of the upload or attachment, or storage key of the file. */
  target: string
  expiresAt: Date
}

const claims = z.object({
  d: z.enum(['put', 'get', 'attached']),
  t: z.guid(),
  u: z.guid().nullable(),
  k: z.string(),
  e: z.number().int(),
})

/** Signs and reads addresses of files, with a key of their own made from the tier's master key. */
export class FileLinks {
  readonly #key: Buffer

  constructor(masterKey: Buffer) {
    this.#key = Buffer.from(hkdfSync('sha256', masterKey, '', 'penguinmails file links', 32))
  }

  /** Path at the gateway, good until the link expires. */
  sign({ does, tenantId, userId, target, expiresAt }: FileLink): string {
    const read = { d: does, t: tenantId, u: userId, k: target, e: expiresAt.getTime() } satisfies z.input<typeof claims>
    const body = Buffer.from(JSON.stringify(read)).toString('base64url')
    return `/files/${body}.${this.#seal(body).toString('base64url')}`
  }

  /**
   * What a path's last part says.
   * @throws AppError NOT_FOUND when it was not signed here for this, or is past its time
   */
  read(token: string, ...does: FileLink['does'][]): FileLink {
    const [body = '', seal = ''] = token.split('.')
    const [given, expected] = [Buffer.from(seal, 'base64url'), this.#seal(body)]
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw notFound()
    const { d, t, u, k, e } = claims.parse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')))
    if (!does.includes(d) || e <= Date.now()) throw notFound()
    return { does: d, tenantId: t, userId: u, target: k, expiresAt: new Date(e) }
  }

  #seal(body: string): Buffer {
    return createHmac('sha256', this.#key).update(body).digest()
  }
}

function notFound(): AppError {
  return new AppError('NOT_FOUND', 'this address is not valid, or not any more')
}
