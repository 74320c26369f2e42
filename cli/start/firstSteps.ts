import { makeDevToken } from '#platform/caller/developmentToken.ts'
import { DEMO_OWNERS, DEMO_TENANTS } from '#platform/contracts/demo.ts'
import { loadDevKey } from '#platform/local/devKey.ts'
import { type LocalPorts, reachableHost } from '#platform/local/settings.ts'
import type { Terminal } from './terminal.ts'

/** The first question to ask: its answer comes out of all four databases. */
export const EXAMPLE_QUERY =
  '{ campaigns(first: 2) { nodes { id name status ' +
  'analytics { sent delivered openedTracked replied asOf } ' +
  'jobs(first: 3) { nodes { id jobType status } } ' +
  'messages(first: 3) { nodes { id subject status ' +
  'content { text rawSizeBytes storedSizeBytes attachments { filename mimeType } } } } } } }'

const DAY_SECONDS = 24 * 60 * 60

type FirstSteps = { dataDir: string; ports: LocalPorts; env: NodeJS.ProcessEnv; terminal: Terminal }

/** The last thing a start prints: the graph's address, what to paste to get an answer, and where to go on. */
export async function printFirstSteps({ dataDir, ports, env, terminal }: FirstSteps): Promise<void> {
  const url = `http://${reachableHost(env)}:${ports.gateway}/graphql`
  const explorer = new URL('/explorer', url).href
  terminal.print(`ready  ${url}`)
  if (env.JWKS_URL || env.JWKS_FILE) {
    terminal.print(`\nTokens come from your own issuer. Explorer: ${explorer} in a browser. Ctrl-C stops everything.`)
    return
  }
  const token = await makeOwnerToken(dataDir, env)
  terminal.print(`
A query that crosses all four tiers, as the owner of tenant demo (the token is good for 24 hours):

curl -s ${url} -H 'content-type: application/json' \\
  -H 'authorization: Bearer ${token}' \\
  --data '${JSON.stringify({ query: EXAMPLE_QUERY })}'

The same in a browser, with the token: ${explorer}#token=${token}
More tokens: npm run -s token -- --tenant demo --role owner
Mail: what is sent ends in the sandbox, http://${reachableHost(env)}:${ports.sandbox}/ledger tells what became of it.
Ctrl-C stops everything; the data stays.`)
}

async function makeOwnerToken(dataDir: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { privateKey } = await loadDevKey(dataDir)
  const owner = { kind: 'user', tenantId: DEMO_TENANTS.demo, userId: DEMO_OWNERS.demo.id, roles: ['owner'] } as const
  const { JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = env
  return makeDevToken(privateKey, owner, {
    ttlSeconds: DAY_SECONDS,
    ...(issuer && { issuer }),
    ...(audience && { audience }),
  })
}
