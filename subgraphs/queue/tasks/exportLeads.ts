import { leadExportPayload } from '#platform/contracts/leadFile.ts'
import { Stopped } from '../engine/attempts.ts'
import type { ClaimedJob } from '../engine/job.ts'
import { type ExportWork, exportFile, failExport } from '../leadFiles/exportFile.ts'
import { isAway } from './ending.ts'
import { defineTask } from './services.ts'

/** Writes leads that oltp gives out to a file of the content tier. */
export const exportLeads = defineTask({
  jobType: 'exportLeads',
  queueName: 'content-archival',
  payload: leadExportPayload,
  concurrency: 2,
  async run(items, { services, signal, report }) {
    for (const { job, payload } of items) {
      const on = { tenantId: job.tenantId, requestId: job.correlationId ?? job.id }
      const onProgress = (leads: number, of: number) => report(job, (100 * leads) / of, `${leads} of ${of} leads`)
      const { oltp, content } = services
      await exportOrFail({ oltp, content, payload, on, signal, onProgress }, job)
    }
    return undefined
  },
})

/** A job that is given up takes its export with it. */
async function exportOrFail(work: ExportWork, job: ClaimedJob): Promise<void> {
  try {
    await exportFile(work)
  } catch (error) {
    const { signal } = work
    const isStopped = signal.aborted && signal.reason instanceof Stopped
    if (isStopped && signal.reason.by === 'person') await failExport(work, 'its job was stopped by a person')
    else if (!isStopped && !isAway(error) && job.attempt >= job.maxAttempts) {
      await failExport(work, 'the export could not be finished')
    }
    throw error
  }
}
