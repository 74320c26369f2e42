import { isDeepStrictEqual } from 'node:util'
import type { TenantClient } from '#platform/database/tenantClient.ts'
import type { Queryable, TenantPool } from '#platform/database/tenantPool.ts'
import { runAsTenant } from '#platform/database/tenantScope.ts'
import type { PrismaClient } from '#prisma/oltp'
import { type Command, type Program, SEEDED_ROWS } from './commands.ts'
import { type Answer, TenantModel } from './model.ts'

/** What is put to the test: the tier's two ways to a tenant's rows, or a broken version of them. */
export type Subject = {
  prisma: TenantClient<PrismaClient>
  sql: Queryable & Pick<TenantPool, 'transaction'>
}

type Templates = Pick<TenantClient<PrismaClient>, 'template'>['template']
type Actor = { self: string; other: string }

/** An answer that isolation does not allow, with what the tenant alone in the world would have been told. */
export type Violation = { tenant: number; step: number; command: Command; answer: Answer; expected: Answer }

/** Runs the program and lists every answer that differs from the model's; a tenant told something wrong stops there. */
export async function findViolations(program: Program, subject: Subject, tenantIds: string[]): Promise<Violation[]> {
  const violations: Violation[] = []
  const actors = program.tenants.map((commands, tenant) => {
    const self = tenantIds[tenant] as string
    const other = tenantIds[(tenant + 1) % program.tenants.length] as string
    const model = new TenantModel(SEEDED_ROWS.map((row) => [row, nameOf(tenant)]))
    let alive = true
    return async (step: number): Promise<void> => {
      const command = commands[step]
      if (!command || !alive) return
      const expected = model.run(command)
      const answer = await runAsTenant(self, () => run(command, subject, { self, other })).catch(describeError)
      if (isDeepStrictEqual(answer, expected)) return
      alive = false
      violations.push({ tenant, step, command, answer, expected })
    }
  })
  const steps = Math.max(...program.tenants.map((commands) => commands.length))
  if (program.lockstep) {
    for (let step = 0; step < steps; step++) await Promise.all(actors.map((act) => act(step)))
  } else {
    await Promise.all(
      actors.map(async (act) => {
        for (let step = 0; step < steps; step++) await act(step)
      }),
    )
  }
  return violations
}

/** The rows that the tenants of a program start with. */
export function seedRows(program: Program, tenantIds: string[]) {
  return program.tenants.flatMap((_, tenant) =>
    SEEDED_ROWS.map((row) => ({
      tenantId: tenantIds[tenant] as string,
      id: idOf(row),
      name: nameOf(tenant),
      subject: 'seeded',
    })),
  )
}

function nameOf(tenant: number): string {
  return `tenant ${tenant}`
}

async function run(command: Command, subject: Subject, actor: Actor): Promise<Answer> {
  if (command.kind === 'prismaTransaction') {
    return transact(command, actor, (step) => subject.prisma.$transaction((tx) => step(tx.template, subject.sql)))
  }
  if (command.kind === 'sqlTransaction') {
    return transact(command, actor, (step) => subject.sql.transaction((tx) => step(subject.prisma.template, tx)))
  }
  const answer = await runPrisma(command, subject.prisma.template, actor)
  return answer === undefined ? runSql(command, subject.sql, actor) : answer
}

/** Carries the answers out of a transaction that is undone on purpose. */
class Undone extends Error {
  readonly answers: Answer[]
  constructor(answers: Answer[]) {
    super('undone')
    this.answers = answers
  }
}

async function transact(
  command: Extract<Command, { steps: Command[] }>,
  actor: Actor,
  begin: (step: (templates: Templates, sql: Queryable) => Promise<Answer>) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await begin(async (templates, sql) => {
      const answers: Answer[] = []
      for (const step of command.steps) {
        const answer = await (command.kind === 'prismaTransaction'
          ? runPrisma(step, templates, actor)
          : runSql(step, sql, actor))
        answers.push(answer)
        if (answer === 'duplicate' || answer === 'not found') throw new Undone(answers)
      }
      if (command.fails) throw new Undone(answers)
      return { answers, undone: false }
    })
  } catch (error) {
    if (error instanceof Undone) return { answers: error.answers, undone: true }
    throw error
  }
}

/** Undefined for what Prisma is not asked to do; null is an answer. */
async function runPrisma(command: Command, templates: Templates, { self }: Actor): Promise<Answer | undefined> {
  const fresh = (row: number, name: string) => ({ tenantId: self, id: idOf(row), name, subject: name })
  const key = (row: number) => ({ tenantId_id: { tenantId: self, id: idOf(row) } })
  switch (command.kind) {
    case 'create':
      return outcome(templates.create({ data: fresh(command.row, command.name) }))
    case 'upsert': {
      const { row, name } = command
      return (await templates.upsert({ where: key(row), create: fresh(row, name), update: { name } })).name
    }
    case 'upsertEmpty':
      return (await templates.upsert({ where: key(command.row), create: fresh(command.row, 'empty'), update: {} })).name
    case 'update':
      return outcome(templates.update({ where: key(command.row), data: { name: command.name } }))
    case 'delete':
      return outcome(templates.delete({ where: key(command.row) }))
    case 'findUnique':
      return wrapNull((await templates.findUnique({ where: key(command.row) }))?.name)
    case 'findFirst': {
      const found = await templates.findFirst({ where: { name: command.name }, orderBy: { id: 'asc' } })
      return wrapNull(found && numberOf(found.id))
    }
    case 'findMany': {
      const rows = await templates.findMany({ where: { name: command.name }, orderBy: { id: 'asc' } })
      return rows.map((row) => numberOf(row.id))
    }
    case 'updateMany':
      return (await templates.updateMany({ where: { name: command.name }, data: { name: 'b' } })).count
    case 'deleteMany':
      return (await templates.deleteMany({ where: { name: command.name } })).count
    case 'count':
      return templates.count()
    case 'groupBy': {
      const groups = await templates.groupBy({ by: ['name'], _count: true, orderBy: { name: 'asc' } })
      return groups.map((group) => [group.name, group._count])
    }
    default:
      return undefined
  }
}

/** No statement here names its tenant: the policies alone must keep tenants apart. */
async function runSql(command: Command, sql: Queryable, { self, other }: Actor): Promise<Answer> {
  const insert = (tenant: string, row: number, name: string) =>
    sql.query('INSERT INTO templates (tenant_id, id, name, subject) VALUES ($1, $2, $3, $3)', [tenant, idOf(row), name])
  switch (command.kind) {
    case 'rawInsert':
      return outcome(insert(self, command.row, command.name))
    case 'insertForOther':
      return outcome(insert(other, command.row, 'stolen'))
    case 'rawUpdate':
      return written(await sql.query('UPDATE templates SET name = $1 WHERE id = $2', [command.name, idOf(command.row)]))
    case 'moveToOther': {
      const move = sql.query('UPDATE templates SET tenant_id = $1 WHERE id = $2', [other, idOf(command.row)])
      return move.then(written, refusal)
    }
    case 'rawFind':
      return wrapNull((await sql.query('SELECT name FROM templates WHERE id = $1', [idOf(command.row)])).rows[0]?.name)
    case 'rawList': {
      const { rows } = await sql.query('SELECT id, name FROM templates ORDER BY id')
      return rows.map((row) => [numberOf(row.id), row.name])
    }
    case 'readOther': {
      const { rows } = await sql.query('SELECT * FROM templates WHERE tenant_id = $1', [other])
      return rows.length === 0 ? 'nothing' : rows
    }
    case 'sqlError':
      return outcome(sql.query('SELECT 1/0'))
    case 'badStatement':
      return outcome(sql.query({ name: 'bad', text: 'SELECT no_such_column FROM templates' }))
    default:
      throw new Error(`no SQL for ${command.kind}`)
  }
}

/** SQL NULL and "no row" alike; a value of its own, because undefined means that nobody answered. */
function wrapNull<Value>(value: Value | null | undefined): Value | null {
  return value ?? null
}

async function outcome(work: PromiseLike<unknown>): Promise<Answer> {
  try {
    await work
    return 'written'
  } catch (error) {
    return refusal(error)
  }
}

function refusal(error: unknown): Answer {
  const code = (error as { code?: string }).code ?? ''
  if (code === 'P2002' || code === '23505') return 'duplicate'
  if (code === 'P2025') return 'not found'
  if (['42501', '22012', '42703'].includes(code)) return 'refused'
  throw error
}

function written({ rowCount }: { rowCount: number | null }): Answer {
  return rowCount === 1 ? 'written' : 'not found'
}

function describeError(error: unknown): Answer {
  return `error: ${(error as Error).message}`
}

function idOf(row: number): string {
  return `00000000-0000-7000-8000-00000000000${row}`
}

function numberOf(id: string): number {
  return Number(id.at(-1))
}
