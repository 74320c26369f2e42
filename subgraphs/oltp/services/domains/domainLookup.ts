import { Resolver } from 'node:dns/promises'
import { type DnsRecord, type DnsRecords, isRight, PURPOSES } from './domainRecords.ts'

/** Answers that say: there is nothing. Anything else says nothing. */
const NOTHING = new Set(['ENODATA', 'ENOTFOUND'])

const TIMEOUT_MS = 2_000
const TRIES = 2

/** Asks DNS what a domain says of itself. */
export type DomainLookup = {
  /** The records with what is there now; what DNS does not answer for is neither right nor wrong. */
  look(records: DnsRecords, at: Date): Promise<DnsRecords>
}

/** @param servers addresses (`127.0.0.1:5353`) to ask; none means the machine's own */
export function makeDomainLookup(servers: readonly string[]): DomainLookup {
  return {
    async look(records, at) {
      // A resolver of its own for each look: one that is cancelled takes its other questions along.
      const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
      if (servers.length > 0) resolver.setServers(servers)
      const entries = await Promise.all(
        PURPOSES.map(async (purpose) => {
          const record = records[purpose]
          const seen = await find(resolver, record)
          const verified = seen === null ? null : isRight(purpose, { value: record.value, seen })
          return [purpose, { ...record, seen: seen ?? [], verified }] as const
        }),
      )
      return { ...(Object.fromEntries(entries) as Omit<DnsRecords, 'checkedAt'>), checkedAt: at.toISOString() }
    },
  }
}

/** What a name says; null when there is no answer. */
async function find(resolver: Resolver, { type, name }: DnsRecord): Promise<string[] | null> {
  try {
    if (type === 'MX') {
      const records = await resolver.resolveMx(name)
      return records.map(({ priority, exchange }) => `${priority} ${exchange}`)
    }
    // A long text comes in pieces.
    return (await resolver.resolveTxt(name)).map((pieces) => pieces.join(''))
  } catch (error) {
    return NOTHING.has((error as NodeJS.ErrnoException).code ?? '') ? [] : null
  }
}
