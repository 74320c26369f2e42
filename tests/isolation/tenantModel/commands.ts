import fc from 'fast-check'

/** Rows are named by number: every tenant uses the same few ids, so that a leak meets a row. */
export type RowNumber = number

/** One thing that one tenant does. */
export type Command =
  | { kind: 'create' | 'rawInsert' | 'upsert' | 'update' | 'rawUpdate'; row: RowNumber; name: string }
  | { kind: 'findUnique' | 'rawFind' | 'delete' | 'upsertEmpty' | 'insertForOther' | 'moveToOther'; row: RowNumber }
  | { kind: 'findMany' | 'findFirst' | 'updateMany' | 'deleteMany'; name: string }
  | { kind: 'count' | 'groupBy' | 'rawList' | 'sqlError' | 'badStatement' | 'readOther' }
  | { kind: 'prismaTransaction' | 'sqlTransaction'; steps: Command[]; fails: boolean }

export type CommandKind = Command['kind']

/**
 * What each of some tenants does, one after the other; the tenants run at once. In lockstep their next steps begin in the
 * same tick, which is when requests could be batched together; otherwise each goes at its own pace.
 */
export type Program = { tenants: Command[][]; poolSize: number; lockstep: boolean }

/** Rows that every tenant has from the start, named after it. */
export const SEEDED_ROWS: readonly RowNumber[] = [0, 1]

const NAMES = ['a', 'b', 'c']
const row = fc.integer({ min: 0, max: 3 })
const name = fc.constantFrom(...NAMES)

const kinds = <Kind extends CommandKind>(...kinds: Kind[]) => fc.constantFrom(...kinds)

const prismaStep = fc.oneof(
  fc.record({ kind: kinds('create', 'upsert', 'update'), row, name }),
  fc.record({ kind: kinds('findUnique', 'delete', 'upsertEmpty'), row }),
  fc.record({ kind: kinds('findMany', 'findFirst', 'updateMany', 'deleteMany'), name }),
  fc.record({ kind: kinds('count', 'groupBy') }),
)
const sqlStep = fc.oneof(
  fc.record({ kind: kinds('rawInsert', 'rawUpdate'), row, name }),
  fc.record({ kind: kinds('rawFind'), row }),
  fc.record({ kind: kinds('rawList', 'readOther') }),
)
const attack = fc.oneof(
  fc.record({ kind: kinds('insertForOther', 'moveToOther'), row }),
  fc.record({ kind: kinds('readOther', 'sqlError', 'badStatement') }),
)
const transaction = (kind: 'prismaTransaction' | 'sqlTransaction', step: fc.Arbitrary<Command>) =>
  fc.record({ kind: fc.constant(kind), steps: fc.array(step, { minLength: 1, maxLength: 4 }), fails: fc.boolean() })

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: prismaStep as fc.Arbitrary<Command> },
  { weight: 3, arbitrary: sqlStep as fc.Arbitrary<Command> },
  { weight: 2, arbitrary: fc.record({ kind: kinds('findUnique'), row }) as fc.Arbitrary<Command> },
  { weight: 1, arbitrary: attack as fc.Arbitrary<Command> },
  { weight: 1, arbitrary: transaction('prismaTransaction', prismaStep as fc.Arbitrary<Command>) },
  { weight: 1, arbitrary: transaction('sqlTransaction', sqlStep as fc.Arbitrary<Command>) },
)

export const program: fc.Arbitrary<Program> = fc.record({
  tenants: fc.array(fc.array(command, { minLength: 1, maxLength: 10 }), { minLength: 2, maxLength: 5 }),
  poolSize: fc.integer({ min: 1, max: 3 }),
  lockstep: fc.boolean(),
})
