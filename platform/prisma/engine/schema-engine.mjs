#!/usr/bin/env node
// Stand-in for Prisma's native schema-engine binary: the same arguments, and the same JSON-RPC over stdin and stdout.
// PRISMA_SCHEMA_ENGINE_BINARY points here where the native one could not be downloaded.
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { connectAndRun, createDatabase, dropDatabase, explainFailure } from './databaseCommands.mjs'
import { serveJsonRpc } from './jsonRpc.mjs'
import { engineVersion, openSchemaEngine } from './wasmEngine.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: {
    datamodels: { type: 'string', multiple: true },
    datasource: { type: 'string' },
    version: { type: 'boolean', short: 'V' },
  },
})
const datasource = values.datasource ? JSON.parse(values.datasource) : { url: process.env.DATABASE_URL }

if (values.version) {
  console.log(await engineVersion())
} else if (positionals[0] === 'cli') {
  await runDatabaseCommand(positionals.at(-1))
} else {
  const paths = (values.datamodels ?? []).flatMap((list) => list.split(','))
  const schemas = await Promise.all(paths.map(async (path) => ({ path, content: await readFile(path, 'utf8') })))
  await serveJsonRpc(() =>
    openSchemaEngine({
      url: datasource.url,
      shadowUrl: datasource.shadowDatabaseUrl,
      schemas: schemas.length > 0 ? schemas : undefined,
    }),
  )
  process.exit(0)
}

async function runDatabaseCommand(command) {
  const commands = {
    'can-connect-to-database': () => connectAndRun(datasource.url, 'SELECT 1'),
    'create-database': () => createDatabase(datasource.url),
    'drop-database': () => dropDatabase(datasource.url),
  }
  try {
    if (!commands[command]) throw new Error(`The stand-in schema engine has no command "${command}".`)
    await commands[command]()
  } catch (error) {
    // Prisma skips the first line and reads the others as JSON log records.
    const record = { timestamp: new Date().toISOString(), level: 'ERROR', target: 'schema_engine::logger' }
    process.stderr.write(`schema-engine (wasm)\n${JSON.stringify({ ...record, fields: explainFailure(error) })}`)
    process.exitCode = 1
  }
}
