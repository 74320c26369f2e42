import { pathToFileURL } from 'node:url'
import { composeSupergraph, isCommittedSupergraph, writeSupergraph } from '#platform/graph/supergraph.ts'

const USAGE = `npm exec tsx cli/compose.ts [-- --check]
  Composes gateway/supergraph.graphql from the four subgraphs' schema.graphql.
  --check   writes nothing; exit 1 when the committed file is not what the schemas compose to
`

/** Runs the command line; the exit code. */
export async function compose(args: readonly string[]): Promise<number> {
  if (args.some((argument) => argument !== '--check')) {
    process.stderr.write(USAGE)
    return 2
  }
  const composed = composeSupergraph()
  if ('errors' in composed) {
    for (const error of composed.errors) process.stderr.write(`${error}\n\n`)
    process.stderr.write(`the schemas do not compose: ${composed.errors.length} error(s)\n`)
    return 1
  }
  if (!args.includes('--check')) {
    writeSupergraph(composed.sdl)
    process.stdout.write('gateway/supergraph.graphql is composed\n')
    return 0
  }
  if (isCommittedSupergraph(composed.sdl)) {
    process.stdout.write('gateway/supergraph.graphql is up to date\n')
    return 0
  }
  process.stderr.write('gateway/supergraph.graphql is stale: run `npm exec tsx cli/compose.ts` and commit it\n')
  return 1
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exit(await compose(process.argv.slice(2)))
