import type pg from 'pg'
import { BoundedClient } from './statementNames.ts'

/** Told the text of every statement that is sent, transaction control included. */
export type StatementListener = (text: string) => void

/** What was sent while some work ran: the texts of reads and writes, in order. BEGIN, COMMIT, live hints and the like don't count. */
export type CountedStatements<Result> = { result: Result; statements: string[] }

/** Transaction control, and what subscribers are told a moment later, whoever is asking then. */
const CONTROL = /^\s*(begin|start\s+transaction|commit|rollback|set\s|savepoint|release|select\s+pg_notify\('live')/i

/** Lets the pools of one tier tell what they send. */
export class StatementCounter {
  readonly #listeners = new Set<StatementListener>()
  /** Statements sent so far, transaction control included. */
  total = 0

  /** A pg.Client class whose clients report here; give it to a pool as `Client`. */
  clientClass(): new (config?: string | pg.ClientConfig) => pg.Client {
    const report = this.#report.bind(this)
    return class ReportingClient extends BoundedClient {
      // biome-ignore lint/suspicious/noExplicitAny: passes on whichever of pg's overloads was called
      override query(...args: any[]): any {
        report(typeof args[0] === 'string' ? args[0] : args[0]?.text)
        return super.query(...args)
      }
    }
  }

  /** Runs `work` and lists the statements sent meanwhile by these pools, whoever asked for them: for tests. */
  async during<Result>(work: () => Promise<Result>): Promise<CountedStatements<Result>> {
    const statements: string[] = []
    const listener: StatementListener = (text) => {
      if (!CONTROL.test(text)) statements.push(text)
    }
    this.#listeners.add(listener)
    try {
      return { result: await work(), statements }
    } finally {
      this.#listeners.delete(listener)
    }
  }

  #report(text: string): void {
    this.total++
    for (const listener of this.#listeners) listener(text)
  }
}

/** Runs `work` and lists the statements the tier's pools sent meanwhile. */
export function countStatements<Result>(
  db: { statements: StatementCounter },
  work: () => Promise<Result>,
): Promise<CountedStatements<Result>> {
  return db.statements.during(work)
}
