import type { SchemaEngine } from '@prisma/schema-engine-wasm'

/**
 * Opens the engine on the database at `url`; nothing is sent before the first call. `shadowUrl` names a database that
 * may be emptied at will; without it a shadow database is created when one is needed, which needs CREATEDB.
 * Close it, or its connections keep the process alive.
 */
export function openSchemaEngine(options: {
  url: string
  shadowUrl?: string | undefined
  schemas?: { path: string; content: string }[] | undefined
}): Promise<{ engine: SchemaEngine; close(): Promise<void> }>

/** The engine's version as the native binary prints it: `schema-engine-cli <commit>`. */
export function engineVersion(): Promise<string>
