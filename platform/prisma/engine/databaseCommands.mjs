import pg from 'pg'
import { withDatabase } from './adapter.mjs'

/** Runs one statement on a connection of its own. */
export async function connectAndRun(url, statement) {
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    await client.query(statement)
  } finally {
    await client.end().catch(() => {})
  }
}

export async function createDatabase(url) {
  await connectAndRun(withDatabase(url, 'postgres'), `CREATE DATABASE ${databaseName(url)}`)
}

export async function dropDatabase(url) {
  await connectAndRun(withDatabase(url, 'postgres'), `DROP DATABASE IF EXISTS ${databaseName(url)}`)
}

function databaseName(url) {
  return pg.escapeIdentifier(decodeURIComponent(new URL(url).pathname.slice(1)))
}

// Prisma's codes for failures that the driver reports in its own words.
const PRISMA_CODES = {
  '28P01': 'P1000',
  28000: 'P1010',
  '3D000': 'P1003',
  ECONNREFUSED: 'P1001',
  ENOTFOUND: 'P1001',
  ETIMEDOUT: 'P1002',
  ECONNRESET: 'P1017',
}

/** A failure in the shape that Prisma's CLI understands. */
export function explainFailure(error) {
  const code = error.code ?? error.errors?.[0]?.code
  return {
    is_panic: error instanceof WebAssembly.RuntimeError,
    message: String(error.message || error.errors?.[0]?.message || error),
    meta: error.meta ?? {},
    error_code: code ? (PRISMA_CODES[code] ?? code) : undefined,
    backtrace: error.stack,
  }
}
