import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { findFreePort } from '#platform/local/freePort.ts'
import { peerFile } from '../peers/loadPeer.ts'
import { makeFolder, type Start, type Started, waitUntilItAnswers } from './starting.ts'

/**
 * The peer by its documentation: the command `hive-gateway supergraph FILE`, with whatever it does by default
 * besides the options. It runs in this process, for its processor time to be taken as everyone's is.
 */
export async function startHive({ supergraphSdl }: Start, options: readonly string[] = []): Promise<Started> {
  const command = peerFile('@graphql-hive/gateway/dist/bin.js')
  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}/graphql`
  // Here it finds no configuration that isn't meant for it.
  process.chdir(makeFolder())
  const supergraphFile = path.resolve('supergraph.graphql')
  writeFileSync(supergraphFile, supergraphSdl)
  process.env.LOG_LEVEL = 'error'
  const address = ['--host', '127.0.0.1', '--port', `${port}`]
  process.argv = [process.execPath, command, 'supergraph', supergraphFile, ...address, ...options]
  await import(pathToFileURL(command).href)
  await waitUntilItAnswers(url)
  return { url }
}
