import { existsSync } from 'node:fs'
import { GRAFBASE_BINARY } from './grafbase.ts'

/** What can be measured, by the name it has in `--only`; peers are those that bench/peers brings. */
export const CONTENDERS = {
  stock: { name: 'Apollo Server + Gateway', isPeer: false },
  hive: { name: 'Hive Gateway', isPeer: true },
  'hive-rust': { name: 'Hive Gateway, Rust planner', isPeer: true },
  grafbase: { name: 'Grafbase, `grafbase dev`', isPeer: true },
  apollo: { name: 'ours, Apollo Server', isPeer: false },
  lean: { name: 'ours, node:http', isPeer: false },
  /** No gateway: see relay.ts. */
  relay: { name: 'nothing but node:http and undici', isPeer: false },
} as const

export type ContenderId = keyof typeof CONTENDERS

/** Those of `--only`, in the order of the table, so that the first of them is what the others are compared to. */
export function readContenders(only: string): ContenderId[] {
  const wanted = only.split(',')
  const unknown = wanted.filter((id) => !Object.hasOwn(CONTENDERS, id))
  if (unknown.length > 0) throw new Error(`there is no contender ${unknown.join(', ')}`)
  return (Object.keys(CONTENDERS) as ContenderId[]).filter((id) => wanted.includes(id))
}

/** Whether a contender can answer what takes several subgraphs. */
export function isGateway(id: ContenderId): boolean {
  return id !== 'relay'
}

/** Asked once the peers are installed: npm has Grafbase for one kind of machine only. */
export function isAvailable(id: ContenderId): boolean {
  return id !== 'grafbase' || existsSync(GRAFBASE_BINARY)
}
