import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const STAND_IN = fileURLToPath(new URL('engine/schema-engine.mjs', import.meta.url))

/**
 * Path of the schema engine that Prisma's commands shall run: the native binary where @prisma/engines could download
 * it at installation, else our stand-in over the same engine in WebAssembly.
 */
export function findSchemaEngine(): string {
  const folder = path.dirname(createRequire(import.meta.url).resolve('@prisma/engines/package.json'))
  const native = readdirSync(folder).find((name) => /^schema-engine-[a-z0-9.-]+$/.test(name) && !name.endsWith('.gz'))
  return native && isExecutable(path.join(folder, native)) ? path.join(folder, native) : STAND_IN
}

/**
 * Environment in which Prisma's CLI runs without a download: with no engine named, even `generate` insists on
 * fetching one. An engine that the user names stays.
 */
export function prismaEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const named = env.PRISMA_SCHEMA_ENGINE_BINARY
  return {
    ...env,
    PRISMA_SCHEMA_ENGINE_BINARY: named && existsSync(named) ? named : findSchemaEngine(),
    CHECKPOINT_DISABLE: '1',
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    // The stand-in starts by `env node`: let that be the Node that runs us.
    PATH: [path.dirname(process.execPath), env.PATH].filter(Boolean).join(path.delimiter),
  }
}

/** Prisma's command line, to be run by `process.execPath`. */
export function prismaCli(): string {
  return createRequire(import.meta.url).resolve('prisma/build/index.js')
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
