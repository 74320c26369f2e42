import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { makeManifest, type RegisteredOperation } from '../registry/registeredOperations.ts'
import { EXPLORER_FOLDER } from './bundle.ts'

/**
 * What the page may load: its own files and nothing else. The editor writes styles into the page and starts workers from
 * text; both are allowed to it alone.
 */
const CONTENT_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Whether the explorer's files have been made (`npm ci` makes them). */
export function hasExplorer(): boolean {
  return existsSync(new URL('index.html', EXPLORER_FOLDER))
}

/** Serves the explorer at `/explorer`, with the registered operations as examples. The page holds no secret: it asks like any client. */
export function addExplorer(app: FastifyInstance, operations: readonly RegisteredOperation[]): void {
  const manifest = makeManifest(operations)
  app.register(async (explorer) => {
    explorer.addHook('onSend', async (_request, reply) => {
      reply.header('content-security-policy', CONTENT_POLICY)
      reply.header('cache-control', 'no-cache')
    })
    await explorer.register(fastifyStatic, {
      root: fileURLToPath(EXPLORER_FOLDER),
      prefix: '/explorer/',
      index: false,
      cacheControl: false,
    })
    explorer.get('/explorer', (_request, reply) => reply.sendFile('index.html'))
    explorer.get('/explorer/operations.json', () => manifest)
  })
}
