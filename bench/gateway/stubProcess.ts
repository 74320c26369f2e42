/** The four subgraphs, in a process of their own: each distinct request is computed once, then answered from memory. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { graphql } from 'graphql'
import { TIERS } from '#platform/contracts/tiers.ts'
import { findFreePort } from '#platform/local/freePort.ts'
import { buildShopSubgraph } from './graph.ts'

const ports = await Promise.all(
  TIERS.map(async (tier) => {
    const schema = buildShopSubgraph(tier)
    const known = new Map<string, Buffer>()
    const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk) => chunks.push(chunk))
      request.on('end', async () => {
        const body = Buffer.concat(chunks).toString()
        let answer = known.get(body)
        if (!answer) {
          const { query, variables } = JSON.parse(body)
          answer = Buffer.from(JSON.stringify(await graphql({ schema, source: query, variableValues: variables })))
          known.set(body, answer)
        }
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
        response.end(answer)
      })
    })
    const port = await findFreePort()
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return port
  }),
)
process.send?.({ ready: Object.fromEntries(TIERS.map((tier, i) => [tier, ports[i]])) })
process.once('disconnect', () => process.exit(0))
