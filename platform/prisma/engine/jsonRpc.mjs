import { createInterface } from 'node:readline'
import { explainFailure } from './databaseCommands.mjs'

// Methods whose name in the protocol is not the engine's.
const RENAMED = { getDatabaseVersion: 'version' }
// Ids of our own requests to Prisma's CLI, far from the ids it counts up for its own.
const OWN_IDS = 1_000_000

/** Answers Prisma's CLI line by line until it closes stdin. The engine is opened with the first request. */
export async function serveJsonRpc(openEngine) {
  let engine
  for await (const line of createInterface({ input: process.stdin })) {
    if (!line.trim()) continue
    const { id, method, params } = JSON.parse(line)
    if (!method) continue // the CLI acknowledges what we asked it to print
    try {
      engine ??= (await openEngine()).engine
      const call = engine[RENAMED[method] ?? method]
      if (typeof call !== 'function') throw new Error(`The stand-in schema engine has no method "${method}".`)
      await answer(id, await call.call(engine, params))
    } catch (error) {
      const message = 'An error happened. Check the data field for details.'
      await send({ id, error: { code: 4466, message, data: explainFailure(error) } })
    }
  }
}

async function answer(id, result) {
  if (result?.stdout == null) return await send({ id, result: result ?? {} })
  await send({ id: OWN_IDS + id, method: 'print', params: { content: result.stdout } })
  await send({ id, result: { ...result, stdout: null } })
}

function send(message) {
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`, resolve))
}
