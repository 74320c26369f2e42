import type { Command } from './commands.ts'

/** What a command answers: plain values, so that the database's answer and the model's compare. */
export type Answer = unknown

type Rows = Map<number, string>

/** One tenant alone in the world: rows by number with their names. What it answers, isolation makes the database answer. */
export class TenantModel {
  rows: Rows

  constructor(rows: Iterable<[number, string]>) {
    this.rows = new Map(rows)
  }

  run(command: Command): Answer {
    switch (command.kind) {
      case 'create':
      case 'rawInsert':
        if (this.rows.has(command.row)) return 'duplicate'
        this.rows.set(command.row, command.name)
        return 'written'
      case 'upsert':
        this.rows.set(command.row, command.name)
        return command.name
      case 'upsertEmpty':
        if (!this.rows.has(command.row)) this.rows.set(command.row, 'empty')
        return this.rows.get(command.row)
      case 'update':
      case 'rawUpdate':
        if (!this.rows.has(command.row)) return 'not found'
        this.rows.set(command.row, command.name)
        return 'written'
      case 'delete':
        return this.rows.delete(command.row) ? 'written' : 'not found'
      case 'findUnique':
      case 'rawFind':
        return this.rows.get(command.row) ?? null
      case 'findFirst':
        return this.named(command.name)[0] ?? null
      case 'findMany':
        return this.named(command.name)
      case 'updateMany': {
        const named = this.named(command.name)
        for (const row of named) this.rows.set(row, 'b')
        return named.length
      }
      case 'deleteMany': {
        const named = this.named(command.name)
        for (const row of named) this.rows.delete(row)
        return named.length
      }
      case 'count':
        return this.rows.size
      case 'groupBy':
        return [...new Set(this.rows.values())].sort().map((name) => [name, this.named(name).length])
      case 'rawList':
        return [...this.rows].sort(([a], [b]) => a - b)
      case 'readOther':
        return 'nothing'
      case 'insertForOther':
      case 'sqlError':
      case 'badStatement':
        return 'refused'
      case 'moveToOther':
        return this.rows.has(command.row) ? 'refused' : 'not found'
      case 'prismaTransaction':
      case 'sqlTransaction':
        return this.#transact(command.steps, command.fails)
    }
  }

  named(name: string): number[] {
    return [...this.rows]
      .filter(([, own]) => own === name)
      .map(([row]) => row)
      .sort((a, b) => a - b)
  }

  /** An error ends a transaction, so its steps after the first failing one never run. */
  #transact(steps: Command[], fails: boolean): Answer {
    const before = new Map(this.rows)
    const answers: Answer[] = []
    for (const step of steps) {
      const answer = this.run(step)
      answers.push(answer)
      if (answer === 'duplicate' || answer === 'not found') {
        this.rows = before
        return { answers, undone: true }
      }
    }
    if (fails) this.rows = before
    return { answers, undone: fails }
  }
}
