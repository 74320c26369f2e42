import { parseArgs } from 'node:util'
import type { CallerKind } from '#platform/caller/caller.ts'
import { STAFF_ROLES, TENANT_ROLES } from '#platform/caller/roles.ts'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { CliProblem, readTenant } from '../commandLine.ts'

export const USAGE = `npm run -s token -- [options]

Prints one token and nothing else, signed with this machine's development key.

A bearer token for the gateway
  --tenant demo|rival|UUID   whose data (default demo)
  --role ROLE                ${TENANT_ROLES.join(' | ')} (default owner); may be repeated
  --user EMAIL               a member of the tenant (default: a demo tenant's owner)
  --staff support|operator   a staff token instead: it names no tenant
  --ttl 1h                   how long it is valid: 45s, 30m, 12h, 7d (default 1h)

A caller header for asking one subgraph directly (curl -H, rover --header)
  --subgraph ${TIERS.join('|')}
                             prints "x-penguin-caller: …", valid for 30 seconds: make it anew for each request.
                             Speaks for --tenant and --role, or --staff
  --service                  with --subgraph: speaks as a service, within --tenant if one is given
`

export type TokenRequest = {
  kind: CallerKind
  tenantId: string | null
  roles: readonly string[]
  /** Which user; null for the one that the tenant's demo data is owned by. */
  email: string | null
  ttlSeconds: number
  /** The tier a caller header is wanted for; null for a bearer token. */
  subgraph: Tier | null
}

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** @throws CliProblem naming what is wrong */
export function parseTokenArguments(args: string[]): TokenRequest | 'help' {
  const options = readOptions(args)
  if (options.help) return 'help'
  const { staff, service, subgraph } = options
  if (service && !subgraph)
    throw new CliProblem('--service needs --subgraph: clients of the gateway are never services')
  if (staff && (options.tenant || options.user || options.role)) {
    throw new CliProblem('--staff names no tenant, user or role of one')
  }
  if (subgraph !== undefined && !isTier(subgraph)) throw new CliProblem(`--subgraph is one of ${TIERS.join(', ')}`)
  return { ...readSubject(options), ttlSeconds: readTtl(options.ttl), subgraph: subgraph ?? null }
}

type Options = ReturnType<typeof readOptions>

function readOptions(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        tenant: { type: 'string' },
        role: { type: 'string', multiple: true },
        user: { type: 'string' },
        staff: { type: 'string' },
        ttl: { type: 'string', default: '1h' },
        subgraph: { type: 'string' },
        service: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new CliProblem(error instanceof Error ? error.message : String(error))
  }
}

function readSubject({ staff, service, tenant, role, user }: Options) {
  if (staff !== undefined) {
    if (!STAFF_ROLES.includes(staff)) throw new CliProblem(`--staff is one of ${STAFF_ROLES.join(', ')}`)
    return { kind: 'staff', tenantId: null, email: null, roles: [staff] } as const
  }
  if (service) {
    return {
      kind: 'service',
      tenantId: tenant === undefined ? null : readTenant(tenant),
      email: null,
      roles: [],
    } as const
  }
  const roles = role ?? ['owner']
  const wrong = roles.find((name) => !TENANT_ROLES.includes(name))
  if (wrong !== undefined) throw new CliProblem(`--role is one of ${TENANT_ROLES.join(', ')}, not ${wrong}`)
  return { kind: 'user', tenantId: readTenant(tenant ?? 'demo'), email: user ?? null, roles } as const
}

function readTtl(text: string): number {
  const [, amount, unit] = /^(\d+)([smhd])$/.exec(text) ?? []
  if (!amount || !unit) throw new CliProblem(`--ttl looks like 45s, 30m, 12h or 7d, not ${text}`)
  return Number(amount) * (SECONDS[unit] ?? 1)
}

function isTier(text: string): text is Tier {
  return (TIERS as readonly string[]).includes(text)
}
