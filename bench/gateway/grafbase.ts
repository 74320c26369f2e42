import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { TIERS } from '#platform/contracts/tiers.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import { peerFile } from '../peers/loadPeer.ts'
import { processorTimeOf } from '../support/processorTime.ts'
import { schemaOf } from './graph.ts'
import { makeFolder, type Start, type Started, waitUntilItAnswers } from './starting.ts'

/** npm has Grafbase's command line for this kind of machine only, and its gateway as a program of its own for none. */
export const GRAFBASE_BINARY = peerFile('@grafbase/cli-x86_64-unknown-linux-musl/grafbase')

/**
 * `grafbase dev` serves by the server and engine of Grafbase's gateway, with introspection on and a look for changed files
 * now and then besides. It takes no supergraph: it composes its own, of the same four schemas.
 */
export async function startGrafbase({ ports }: Start): Promise<Started> {
  const folder = makeFolder()
  const subgraphs = TIERS.map((tier) => {
    writeFileSync(path.join(folder, `${tier}.graphql`), schemaOf(tier))
    return `[subgraphs.${tier}]\nurl = "http://127.0.0.1:${ports[tier]}/graphql"\nschema_path = "${tier}.graphql"\n`
  })
  writeFileSync(path.join(folder, 'grafbase.toml'), subgraphs.join('\n'))
  const address = `127.0.0.1:${await findFreePort()}`
  const options = ['--home', folder, 'dev', '--config', 'grafbase.toml', '--listen-address', address]
  const server = spawn(GRAFBASE_BINARY, options, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  server.once('exit', () => process.exit(1))
  // Before anything else that is done at the end: it writes into the folder.
  process.prependOnceListener('exit', () => server.kill('SIGKILL'))
  const url = `http://${address}/graphql`
  await waitUntilItAnswers(url)
  return { url, usageMs: () => processorTimeOf([server.pid as number]) }
}
