// npm run migrate -- plan|up|down|status [--tier T] [--to NAME]: schema changes, tier by tier.
import { parseArgs } from 'node:util'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { StartProblem } from '#platform/local/startProblem.ts'
import { findDatabaseDrift } from '#platform/prisma/drift.ts'
import type { MigrationStatus } from '#platform/prisma/history.ts'
import { migrateDown, migrateUp, migrationStatus, planMigrations } from '#platform/prisma/migrate.ts'
import { ownerDatabaseUrl } from '#platform/prisma/ownerDatabase.ts'
import { countStatementKinds } from '#platform/prisma/sqlScript.ts'
import { parseTier } from './tierArgument.ts'

const USAGE = `npm run migrate -- <command> [--tier ${TIERS.join('|')}] [--to NAME]

  status   what each tier's database has and lacks, and whether it is as schema.prisma says
  plan     what "up" would apply
  up       apply what is pending; with --to, up to and including that migration
  down     undo the newest migration by its down.sql; with --to, all after that one; with --to none, all.
           Refused where data would be lost, unless --drop-data is given

Databases: <TIER>_OWNER_DATABASE_URL where set, else the local platform's (DATA_DIR, POSTGRES_PORT).`

type Target = { tier: Tier; url: string; to: string | undefined; keepData: boolean }

const COMMANDS: Record<string, (target: Target) => Promise<string[]>> = {
  status: async (target) => {
    const status = await migrationStatus(target)
    const drift = status.pending.length === 0 ? await findDatabaseDrift(target) : null
    return [
      ...describeStatus(status),
      ...(drift ? [`drift       the database is not as schema.prisma says; to be so it would need:\n${drift}`] : []),
    ]
  },
  plan: async (target) => {
    const migrations = await planMigrations(target)
    if (migrations.length === 0) return ['nothing pending']
    return migrations.map(({ name, up }) => `would apply ${name}: ${describeScript(up)}`)
  },
  up: async (target) => {
    const lines: string[] = []
    const applied = await migrateUp({ ...target, onProgress: (message) => lines.push(message) })
    return applied.length === 0 ? [...lines, 'nothing pending'] : lines
  },
  down: async ({ to, ...target }) => {
    const undone = await migrateDown({ ...target, to: to === 'none' ? null : to })
    return undone.length === 0 ? ['nothing to undo'] : undone.map((name) => `undid ${name}`)
  },
}

function describeStatus({ applied, pending, unknown, unfinished }: MigrationStatus): string[] {
  const last = applied.at(-1)
  const since = last
    ? `, the last ${last.name} at ${last.appliedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`
    : ''
  return [
    `${applied.length} applied${since}${pending.length === 0 ? '; nothing pending' : ''}`,
    ...pending.map(({ name }) => `pending     ${name}`),
    ...unfinished.map((name) => `unfinished  ${name}: begun by prisma migrate and not finished`),
    ...unknown.map((name) => `not here    ${name}: applied, but this code does not have it`),
    ...applied
      .filter((one) => one.editedSince)
      .map(({ name }) => `edited      ${name}: its file changed after it was applied`),
  ]
}

function describeScript(script: string): string {
  const kinds = [...countStatementKinds(script)].sort(([, a], [, b]) => b - a)
  return kinds.map(([kind, count]) => `${count} ${kind}`).join(', ')
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tier: { type: 'string' },
      to: { type: 'string' },
      'drop-data': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const [name = '', ...rest] = positionals
  const command = COMMANDS[name]
  if (values.help || !command || rest.length > 0) {
    if (name && !command) console.error(`"${name}" is no command of migrate\n`)
    else if (rest.length > 0) console.error(`"${rest.join(' ')}" is one word too many: name a tier by --tier\n`)
    console.log(USAGE)
    process.exitCode = values.help ? 0 : 1
    return
  }
  const tiers = values.tier ? [parseTier(values.tier)] : name === 'down' ? [...TIERS].reverse() : TIERS
  for (const tier of tiers) await runFor(tier, name, command, { to: values.to, keepData: !values['drop-data'] })
}

async function runFor(
  tier: Tier,
  name: string,
  command: (target: Target) => Promise<string[]>,
  options: Pick<Target, 'to' | 'keepData'>,
) {
  try {
    const lines = await command({ tier, url: ownerDatabaseUrl(tier), ...options })
    for (const [index, line] of lines.entries()) console.log(`${(index === 0 ? tier : '').padEnd(10)} ${line}`)
  } catch (error) {
    if (!(error instanceof StartProblem)) throw error
    console.error(`${tier.padEnd(10)} ${error.message}`)
    process.exitCode = 1
    // A change that failed in one tier is not carried into the next.
    if (name === 'up' || name === 'down') process.exit()
  }
}

try {
  await main()
} catch (error) {
  const expected = error instanceof StartProblem || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')
  console.error(expected ? (error as Error).message : error)
  process.exitCode = 1
}
