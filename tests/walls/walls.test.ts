import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { TIERS } from '#platform/contracts/tiers.ts'
import { readImports } from '../../cli/check/imports.ts'
import { findBreaches } from '../../cli/check/walls.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')

test('no source file imports through a wall', () => {
  expect(findBreaches(ROOT)).toEqual([])
})

describe('a planted breach is caught', () => {
  let house: string
  beforeEach(() => {
    house = mkdtempSync(path.join(tmpdir(), 'walls-'))
    cpSync(path.join(ROOT, 'package.json'), path.join(house, 'package.json'))
    for (const folder of [...TIERS.map((tier) => `subgraphs/${tier}`), 'platform', 'gateway']) {
      mkdirSync(path.join(house, folder), { recursive: true })
    }
  })
  afterEach(() => rmSync(house, { recursive: true }))

  const plant = (file: string, source: string) => {
    mkdirSync(path.dirname(path.join(house, file)), { recursive: true })
    writeFileSync(path.join(house, file), source)
    return findBreaches(house).map((breach) => `${breach.file} ${breach.specifier}`)
  }

  test.each([
    ["another tier's code", 'subgraphs/oltp/services/a.ts', "import { x } from '../../content/services/b.ts'"],
    ["another tier's code, as a type", 'subgraphs/oltp/a.ts', "import type { X } from '../content/b.ts'"],
    ["another tier's code, re-exported", 'subgraphs/oltp/a.ts', "export * from '../content/b.ts'"],
    ["another tier's code, lazily", 'subgraphs/oltp/a.ts', "const b = await import('../content/b.ts')"],
    ["another tier's code, by a type expression", 'subgraphs/oltp/a.ts', "let b: import('../content/b.ts').B"],
    ["another tier's code, by require", 'subgraphs/oltp/a.cjs', "const b = require('../content/b.ts')"],
    ["another tier's database client", 'subgraphs/queue/a.ts', "import { PrismaClient } from '#prisma/oltp'"],
    ["another tier's resolver types", 'subgraphs/queue/a.ts', "import type { Job } from '#graphql/oltp'"],
    ['a computed name', 'subgraphs/queue/a.ts', 'const b = await import(name)'],
    ['an absolute path', 'subgraphs/queue/a.ts', "import '/srv/subgraphs/oltp/a.ts'"],
    ['the gateway', 'subgraphs/analytics/a.ts', "import { buildGateway } from '../../gateway/app.ts'"],
    ['a command', 'subgraphs/analytics/a.ts', "import { token } from '../../cli/token.ts'"],
    ['a driver of its own', 'subgraphs/analytics/a.ts', "import pg from 'pg'"],
    ['a package that production does not have', 'subgraphs/analytics/a.ts', "import fc from 'fast-check'"],
    ['a tier', 'platform/outbox/relay.ts', "import { x } from '../../subgraphs/queue/engine/claim.ts'"],
    ["a tier's client", 'platform/outbox/relay.ts', "import { PrismaClient } from '#prisma/queue'"],
    ['a database', 'gateway/app.ts', "import { TenantPool } from '#platform/database/tenantPool.ts'"],
    ['a driver', 'gateway/app.ts', "import pg from 'pg'"],
  ])('%s', (_what, file, source) => {
    const [, specifier] = /'([^']+)'/.exec(source) ?? [undefined, '<computed>']
    expect(plant(file, source)).toEqual([`${file} ${specifier}`])
  })

  test('what the walls allow is not reported', () => {
    const source = `
      import { readFileSync } from 'node:fs'
      import type { Pool } from 'pg'
      import { v7 } from 'uuid'
      import { AppError } from '#platform/errors.ts'
      import { PrismaClient } from '#prisma/oltp'
      import type { Resolvers } from '#graphql/oltp'
      import { near } from './near.ts'
      // import { x } from '../content/b.ts'
      const text = "import { x } from '../content/b.ts'"
    `
    expect(plant('subgraphs/oltp/services/a.ts', source)).toEqual([])
  })
})

test('every form of import is read', () => {
  const source = `
    import a from 'a'
    import type { B } from 'b'
    import { type C, d } from 'c'
    import { type E } from 'e'
    export { f } from 'f'
    export type { G } from 'g'
    const h = () => import('h')
    import i = require('i')
    import 'j'
  `
  expect(readImports(source)).toEqual([
    { specifier: 'a', typeOnly: false },
    { specifier: 'b', typeOnly: true },
    { specifier: 'c', typeOnly: false },
    { specifier: 'e', typeOnly: true },
    { specifier: 'f', typeOnly: false },
    { specifier: 'g', typeOnly: true },
    { specifier: 'h', typeOnly: false },
    { specifier: 'i', typeOnly: false },
    { specifier: 'j', typeOnly: false },
  ])
})
