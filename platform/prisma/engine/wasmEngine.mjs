// Prisma's schema engine compiled to WebAssembly, over pg: what the native binary does, with nothing to download.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils'
import { EngineAdapterFactory } from './adapter.mjs'

const packageDir = path.dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'))
let loading

/** Opens the engine on a database. See wasmEngine.d.mts. */
export async function openSchemaEngine({ url, shadowUrl, schemas }) {
  loading ??= loadEngine()
  const SchemaEngine = await loading
  const adapters = new EngineAdapterFactory(url, shadowUrl)
  const log = process.env.DEBUG?.includes('prisma') ? (line) => console.error(line) : () => {}
  const datamodels = schemas?.map(({ path, content }) => [path, content])
  const engine = await SchemaEngine.new({ datamodels }, log, bindMigrationAwareSqlAdapterFactory(adapters))
  return { engine, close: () => adapters.close() }
}

/** The engine's version as the native binary prints it. */
export async function engineVersion() {
  const { version } = JSON.parse(await readFile(path.join(packageDir, 'package.json'), 'utf8'))
  return `schema-engine-cli ${version.split('.').at(-1)}`
}

// The package's own entry imports a .wasm file as a module, which Node 20 does only behind a flag.
async function loadEngine() {
  globalThis.PRISMA_WASM_PANIC_REGISTRY ??= {
    set_message(message) {
      this.message = message
    },
  }
  const bindings = await import(pathToFileURL(path.join(packageDir, 'schema_engine_bg.js')).href)
  const wasm = await readFile(path.join(packageDir, 'schema_engine_bg.wasm'))
  const { instance } = await WebAssembly.instantiate(wasm, { './schema_engine_bg.js': bindings })
  bindings.__wbg_set_wasm(instance.exports)
  instance.exports.__wbindgen_start()
  return bindings.SchemaEngine
}
