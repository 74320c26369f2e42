import type { FastifyInstance } from 'fastify'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import { AppError } from '#platform/errors.ts'
import { drainBody } from '#platform/http/drain.ts'
import type { AccessRecorder } from './services/accessRecorder.ts'
import { findDownload } from './services/files/downloads.ts'
import type { FileLinks } from './services/files/fileLinks.ts'
import type { FileStore } from './services/files/storedFiles.ts'
import { receiveUpload } from './services/uploads.ts'

type Parts = FileStore & { links: FileLinks; accesses: AccessRecorder; maxUploadBytes: number }

/**
 * The addresses under which files come and go, a part at a time whatever their size. Whoever has one may use it: it was
 * signed by this tier for one file and a short time, and names the tenant.
 */
export function addFileRoutes(app: FastifyInstance, parts: Parts) {
  const { links, accesses, maxUploadBytes } = parts
  app.register(async (files) => {
    // The body is taken as it comes, whatever it says it is.
    files.removeAllContentTypeParsers()
    files.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

    files.put<{ Params: { '*': string } }>('/files/*', async ({ params, raw }, reply) => {
      try {
        const { tenantId, target } = links.read(params['*'], 'put')
        const bytes = raw.iterator({ destroyOnReturn: false })
        await runAsTenant(tenantId, () => receiveUpload(parts, target, bytes))
      } catch (error) {
        await drainBody(raw, maxUploadBytes)
        throw error
      }
      return reply.code(204).send()
    })

    files.get<{ Params: { '*': string } }>('/files/*', async ({ params }, reply) => {
      const link = links.read(params['*'], 'get', 'attached')
      const { tenantId, userId } = link
      const found = await runAsTenant(tenantId, () => findDownload(parts, link))
      if (!found) throw new AppError('NOT_FOUND', 'the file is gone')
      const { storageKey, filename, mimeType, sizeBytes, body } = found
      accesses.record({ tenantId, userId, storageKey, accessType: 'download', bytes: sizeBytes })
      return reply
        .headers({
          'content-type': mimeType,
          'content-length': sizeBytes,
          'content-disposition': disposition(filename),
          'cache-control': 'private, no-store',
          'x-content-type-options': 'nosniff',
        })
        .send(body)
    })
  })
}

/** RFC 6266: always saved, never shown; the name in full for those who read it, in ASCII for others. */
function disposition(filename: string): string {
  const plain = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_')
  const whole = encodeURIComponent(filename).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)
  return `attachment; filename="${plain}"; filename*=UTF-8''${whole}`
}
