import { v7 as uuidv7 } from 'uuid'
import { PLATFORM_TENANT } from '#platform/database/tenantScope.ts'
import { readCalendar } from './engine/calendar.ts'
import type { Timetable } from './engine/dueTimes.ts'
import type { Sql } from './engine/sql.ts'
import { planCampaigns } from './tasks/planCampaigns.ts'
import { pollMailboxes } from './tasks/pollMailboxes.ts'
import { refreshViews } from './tasks/refreshViews.ts'
import type { PlatformTask } from './tasks/services.ts'
import { settleDelivered } from './tasks/settleDelivered.ts'
import { settleStuckMail } from './tasks/settleStuckMail.ts'

/** Work of the platform's own that comes back by the calendar, read in UTC. */
export type PlatformSchedule = Pick<Timetable, 'cronExpression' | 'overlapPolicy' | 'missedRunPolicy'> & {
  /** What it is known by: another name is another schedule. */
  name: string
  task: PlatformTask
}

export const platformSchedules: readonly PlatformSchedule[] = [
  {
    name: 'refresh analytics views',
    task: refreshViews,
    cronExpression: '* * * * *',
    overlapPolicy: 'skip',
    // A late refresh is worth little: the next minute has its own.
    missedRunPolicy: 'skip',
  },
  {
    name: 'plan campaigns',
    task: planCampaigns,
    // Campaigns announce themselves in time; this finds those of which the announcement was lost.
    cronExpression: '* * * * *',
    overlapPolicy: 'skip',
    missedRunPolicy: 'skip',
  },
  {
    name: 'settle stuck mail',
    task: settleStuckMail,
    cronExpression: '* * * * *',
    overlapPolicy: 'skip',
    missedRunPolicy: 'skip',
  },
  {
    name: 'settle delivered mail',
    task: settleDelivered,
    cronExpression: '* * * * *',
    overlapPolicy: 'skip',
    missedRunPolicy: 'skip',
  },
  {
    name: 'poll mailboxes',
    task: pollMailboxes,
    cronExpression: '* * * * *',
    overlapPolicy: 'skip',
    missedRunPolicy: 'skip',
  },
]

// Whether it is active is the operators' to say; the rest is ours, and nothing is written while it is as it was.
const ENSURE = `
  INSERT INTO scheduled_jobs AS s (tenant_id, id, name, queue_name, job_type, cron_expression, overlap_policy,
    missed_run_policy, next_run_at)
  SELECT $1, p.id, p.name, p."queueName", p."jobType", p."cronExpression", p."overlapPolicy", p."missedRunPolicy",
    p."nextRunAt"
  FROM jsonb_to_recordset($2::jsonb) AS p (id uuid, name text, "queueName" text, "jobType" text, "cronExpression" text,
    "overlapPolicy" text, "missedRunPolicy" text, "nextRunAt" timestamptz)
  ON CONFLICT (tenant_id, name) DO UPDATE
  SET queue_name = excluded.queue_name, job_type = excluded.job_type, cron_expression = excluded.cron_expression,
    overlap_policy = excluded.overlap_policy, missed_run_policy = excluded.missed_run_policy, last_error = NULL,
    next_run_at = CASE WHEN s.is_active THEN excluded.next_run_at END
  WHERE (s.queue_name, s.job_type, s.cron_expression, s.overlap_policy, s.missed_run_policy) IS DISTINCT FROM
    (excluded.queue_name, excluded.job_type, excluded.cron_expression, excluded.overlap_policy, excluded.missed_run_policy)`

/** Writes the platform's schedules where they are missing or were others before. Any number of workers may. */
export async function ensurePlatformSchedules(
  sql: Sql,
  schedules: readonly PlatformSchedule[] = platformSchedules,
): Promise<void> {
  const now = new Date()
  const rows = schedules.map(({ task: { queueName, jobType }, ...schedule }) => {
    const nextRunAt = readCalendar(schedule.cronExpression, 'UTC').next(now)
    return { ...schedule, id: uuidv7(), queueName, jobType, nextRunAt }
  })
  await sql.query(ENSURE, [PLATFORM_TENANT, JSON.stringify(rows)])
}

/** Whether a schedule is defined here: then only whether it is active can be changed elsewhere. */
export function isPlatformSchedule({ tenantId, name }: { tenantId: string; name: string }): boolean {
  return tenantId === PLATFORM_TENANT && platformSchedules.some((schedule) => schedule.name === name)
}
