import pg from 'pg'
import { testServices } from '../../support/postgres.ts'
import type { QueueDatabase } from './queueDatabase.ts'

/** The plans of a statement and of those inside its functions that touch jobs, as a superuser's auto_explain tells them. */
export async function explainInside(queue: Pick<QueueDatabase, 'systemUrl'>, statement: string): Promise<string> {
  const url = new URL(testServices().adminUrl)
  url.pathname = new URL(queue.systemUrl).pathname
  const admin = new pg.Client({ connectionString: url.href })
  const plans: string[] = []
  admin.on('notice', ({ message }) => plans.push(String(message)))
  await admin.connect()
  try {
    await admin.query(`LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;
      SET auto_explain.log_nested_statements = on; SET auto_explain.log_level = notice`)
    await admin.query(statement)
    return plans.filter((plan) => /\bjobs\b/.test(plan)).join('\n')
  } finally {
    await admin.end()
  }
}
