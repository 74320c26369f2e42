// npm exec tsx cli/docs.ts            writes docs/schema/<tier>.md from the schemas' comments, and docs/graph.md from the
//                                     graph's descriptions
// npm exec tsx cli/docs.ts -- --check says which of them are stale, and exits 1 if any is
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { TIERS } from '#platform/contracts/tiers.ts'
import { renderGraphDocument } from '#platform/graph/graphDocument.ts'
import { readCommittedGraph } from '#platform/graph/supergraph.ts'
import { PROJECT_ROOT } from '#platform/prisma/freshness.ts'
import { renderSchemaDocument, type Schemas } from '#platform/prisma/schemaDocument.ts'
import { readSchema } from '#platform/prisma/schemaFile.ts'

const check = process.argv.includes('--check')
const schemas = Object.fromEntries(TIERS.map((tier) => [tier, readSchema(tier)])) as Schemas

const documents: [string, string][] = [
  ...TIERS.map((tier): [string, string] => [`docs/schema/${tier}.md`, renderSchemaDocument(tier, schemas)]),
  ['docs/graph.md', renderGraphDocument(readCommittedGraph())],
]

for (const [name, document] of documents) {
  const file = new URL(name, PROJECT_ROOT)
  if (existsSync(file) && readFileSync(file, 'utf8') === document) continue
  if (check) {
    console.error(`${name} is stale: run \`npm exec tsx cli/docs.ts\``)
    process.exitCode = 1
    continue
  }
  mkdirSync(new URL('.', file), { recursive: true })
  writeFileSync(file, document)
  console.log(`wrote ${name}`)
}
