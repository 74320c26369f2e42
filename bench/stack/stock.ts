import { type ChildProcess, fork } from 'node:child_process'
import { composeServices } from '@apollo/composition'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import type { Stack } from './rounds.ts'
import { parseSubgraph } from './stock/schemas.ts'

export type StockOptions = {
  databases: Record<Tier, string>
  contentMasterKey: string
  jwksFile: string
}

/** The same graph of Apollo's and Prisma's parts, over the same databases: five processes. */
export async function startStock(options: StockOptions, atEnd: (stop: () => void) => void): Promise<Stack> {
  const children: ChildProcess[] = []
  atEnd(() => {
    for (const child of children) child.kill()
  })
  const start = async (file: string, words: string[], settings: NodeJS.ProcessEnv) => {
    const env = { ...process.env, NODE_ENV: 'production', APOLLO_TELEMETRY_DISABLED: 'true', ...settings }
    const child = fork(new URL(`stock/${file}`, import.meta.url), words, {
      env: { ...env, PORT: String(await findFreePort()) },
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Ctrl-C reaches us alone, and we stop everything in order.
      detached: true,
    })
    children.push(child)
    return { pid: child.pid as number, url: await addressOf(child) }
  }
  const { databases, contentMasterKey, jwksFile } = options
  const tiers = await Promise.all(
    TIERS.map((tier) => {
      const secrets = tier === 'content' ? { CONTENT_MASTER_KEY: contentMasterKey } : {}
      return start('tierProcess.ts', [tier], { DATABASE_URL: databases[tier], ...secrets })
    }),
  )
  const supergraph = compose((tier) => tiers[TIERS.indexOf(tier)]?.url ?? '')
  const gateway = await start('gatewayProcess.ts', [], { SUPERGRAPH: supergraph, JWKS_FILE: jwksFile })
  return { name: 'stock parts', url: gateway.url, gatewayPid: gateway.pid, tierPids: tiers.map(({ pid }) => pid) }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('message', (message: { url: string }) => resolve(message.url))
    child.once('exit', () => reject(new Error('a process of the stock stack has ended')))
  })
}

function compose(addressOf: (tier: Tier) => string): string {
  const composed = composeServices(TIERS.map((name) => ({ name, url: addressOf(name), typeDefs: parseSubgraph(name) })))
  if (composed.errors) throw new Error(composed.errors.map(String).join('\n'))
  return composed.supergraphSdl
}
