import { leadImportPayload } from '#platform/contracts/leadFile.ts'
import { Stopped } from '../engine/attempts.ts'
import type { ClaimedJob } from '../engine/job.ts'
import { FileFault } from '../leadFiles/fileFault.ts'
import { failImport, type ImportWork, importFile } from '../leadFiles/importFile.ts'
import { isAway } from './ending.ts'
import { defineTask } from './services.ts'

/** Reads a file of leads from the content tier and has oltp write its rows, which keeps how far it has got. */
export const importLeads = defineTask({
  jobType: 'importLeads',
  queueName: 'content-archival',
  payload: leadImportPayload,
  concurrency: 2,
  async run(items, { services, signal, report }) {
    for (const { job, payload } of items) {
      const on = { tenantId: job.tenantId, requestId: job.correlationId ?? job.id }
      const onProgress = (rows: number, of: number) => report(job, (100 * rows) / of, `${rows} of ${of} rows`)
      const { oltp, content } = services
      await importOrFail({ oltp, content, payload, on, signal, onProgress }, job)
    }
    return undefined
  },
})

/** A file at fault ends its import and is no fault of the job's; a job that is given up takes its import with it. */
async function importOrFail(work: ImportWork, job: ClaimedJob): Promise<void> {
  try {
    await importFile(work)
  } catch (error) {
    if (error instanceof FileFault) return await failImport(work, error.code, error.message)
    const { signal } = work
    const isStopped = signal.aborted && signal.reason instanceof Stopped
    if (isStopped && signal.reason.by === 'person')
      await failImport(work, 'INTERNAL', 'its job was stopped by a person')
    else if (!isStopped && !isAway(error) && job.attempt >= job.maxAttempts) {
      await failImport(work, 'INTERNAL', 'the import could not be finished')
    }
    throw error
  }
}
