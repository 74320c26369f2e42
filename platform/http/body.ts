import type { IncomingMessage } from 'node:http'
import { AppError } from '#platform/errors.ts'

const JSON_BODY = /^application\/json\s*(;|$)/i
const OTHER_CHARSET = /charset\s*=\s*"?(?!utf-?8)/i

/**
 * The body of a request that is JSON, as text. Nothing is decompressed: a small request cannot become a large one.
 * @throws AppError INVALID_INPUT for another content type; LIMIT_REACHED past `maxBytes`
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers
  const isReadable = JSON_BODY.test(type) && !OTHER_CHARSET.test(type) && encoding === 'identity'
  if (!isReadable) throw new AppError('INVALID_INPUT', 'the request is not readable')
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes) {
        chunks.push(chunk)
        return
      }
      request.pause()
      request.removeAllListeners('data')
      reject(tooLarge())
    })
    request.on('end', () => {
      const [only] = chunks
      resolve((only && chunks.length === 1 ? only : Buffer.concat(chunks, bytes)).toString('utf8'))
    })
    request.on('error', reject)
    request.on('close', () => request.complete || reject(new Error('the client has gone')))
  })
}

function tooLarge(): AppError {
  return new AppError('LIMIT_REACHED', 'the request is larger than this server takes')
}
