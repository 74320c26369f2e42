import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Tier } from '#platform/contracts/tiers.ts'
import type { ContenderId } from './contenders.ts'

/** Which gateway to start, and over what. */
export type Start = { id: ContenderId; supergraphSdl: string; publicKey: object; ports: Record<Tier, number> }
/** Where it listens; and its processor time in all, if it is not this process that answers. */
export type Started = { url: string; usageMs?: () => number }

/** A folder that is gone when this process is. */
export function makeFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'penguinmails-bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** For gateways that do not tell when they listen. */
export async function waitUntilItAnswers(url: string): Promise<void> {
  const body = JSON.stringify({ query: '{ __typename }' })
  const headers = { 'content-type': 'application/json' }
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await setTimeout(50)) {
    const answer = await fetch(url, { method: 'POST', headers, body }).catch(() => null)
    if (answer?.ok) return
  }
  throw new Error(`nothing answers at ${url}`)
}
