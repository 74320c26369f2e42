import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import path from 'node:path'
import { TIERS } from '#platform/contracts/tiers.ts'
import { type Import, readImports } from './imports.ts'

/** One import that goes through a wall of docs/architecture.md. */
export type Breach = { file: string; specifier: string; rule: string }

/** One room of the house and what may be brought into it. */
type Room = {
  folder: string
  /** Folders and aliases whose modules it may use, besides its own. */
  uses: readonly string[]
  /** Modules it must not use although the list above or package.json has them. */
  refuses: (found: Import) => boolean
  rule: string
}

/** Connections are opened by platform/database alone: elsewhere these may be named as types, never made. */
const DRIVERS = /^(pg|@prisma\/(client|adapter-pg))(\/|$)/
const opensConnections = ({ specifier, typeOnly }: Import) =>
  !typeOnly && /^(pg|@prisma\/adapter-pg)(\/|$)/.test(specifier)

const ROOMS: readonly Room[] = [
  ...TIERS.map((tier) => ({
    folder: `subgraphs/${tier}`,
    uses: ['#platform/', `#prisma/${tier}`, `#graphql/${tier}`],
    refuses: opensConnections,
    rule: `${tier} knows its own folder, the platform and its own client; a database is reached through its tenant client`,
  })),
  {
    folder: 'platform',
    uses: ['#platform/'],
    refuses: () => false,
    rule: 'the platform knows no tier and no other folder',
  },
  {
    folder: 'gateway',
    uses: ['#platform/'],
    refuses: ({ specifier }) =>
      DRIVERS.test(specifier) ||
      specifier.startsWith('#platform/outbox/') ||
      (specifier.startsWith('#platform/database/') && specifier !== '#platform/database/tenantScope.ts'),
    rule: 'the gateway owns no data: it knows the platform, but no database',
  },
]

/**
 * Source folders in which only what production installs may be imported. `platform` holds build tools as well, and what
 * runs in a browser is bundled before.
 */
const RUNTIME_ROOMS = /^(subgraphs\/|gateway\/(?!explorer\/browser\/))/

/** Prisma's engine is a file inside a package that its exports hide: it is loaded by a path made at run time. */
const LOADS_BY_PATH = 'platform/prisma/engine/'

/** Every import under `root` that breaches a wall. */
export function findBreaches(root: string): Breach[] {
  const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const installed = new Set(Object.keys(dependencies))
  return ROOMS.flatMap((room) =>
    sourceFiles(path.join(root, room.folder)).flatMap((absolute) => {
      const file = path.relative(root, absolute).split(path.sep).join('/')
      return readImports(readFileSync(absolute, 'utf8')).flatMap((found) => {
        const rule = brokenRule(room, file, found, installed)
        return rule === null ? [] : [{ file, specifier: found.specifier, rule }]
      })
    }),
  )
}

function brokenRule(room: Room, file: string, found: Import, installed: ReadonlySet<string>): string | null {
  const { specifier, typeOnly } = found
  if (room.refuses(found)) return room.rule
  if (specifier === '<computed>') return file.startsWith(LOADS_BY_PATH) ? null : room.rule
  if (specifier.startsWith('.')) {
    const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier))
    return target.startsWith(`${room.folder}/`) ? null : room.rule
  }
  if (specifier.startsWith('#')) return isUsed(room, specifier) ? null : room.rule
  if (isBuiltin(specifier)) return null
  if (path.isAbsolute(specifier) || specifier.includes(':')) return room.rule
  if (!RUNTIME_ROOMS.test(file) || typeOnly || installed.has(packageOf(specifier))) return null
  return `${packageOf(specifier)} is not among package.json's dependencies: production does not install it`
}

function isUsed(room: Room, specifier: string): boolean {
  return room.uses.some((use) => (use.endsWith('/') ? specifier.startsWith(use) : specifier === use))
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?[jt]sx?$/.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort()
}
