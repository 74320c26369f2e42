// npm exec tsx cli/docs.ts            writes docs/schema/<tier>.md from the schemas' comments
// npm exec tsx cli/docs.ts -- --check says which of them are stale, and exits 1 if any is
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { TIERS } from '#platform/contracts/tiers.ts'
import { PROJECT_ROOT } from '#platform/prisma/freshness.ts'
import { renderSchemaDocument, type Schemas } from '#platform/prisma/schemaDocument.ts'
import { readSchema } from '#platform/prisma/schemaFile.ts'

const check = process.argv.includes('--check')
const schemas = Object.fromEntries(TIERS.map((tier) => [tier, readSchema(tier)])) as Schemas

for (const tier of TIERS) {
  const name = `docs/schema/${tier}.md`
  const file = new URL(name, PROJECT_ROOT)
  const document = renderSchemaDocument(tier, schemas)
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
