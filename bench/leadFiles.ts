/**
 * How fast lists of leads are imported and exported, and what memory that takes.
 *
 * The whole platform in processes of its own. A list is uploaded through the gateway, imported twice (new leads, then the
 * same with updates) and exported. The memory of the worker and of the tiers is read ten times a second meanwhile and
 * shown for each fifth of the work, with the processor time they took (the database's own is not in it).
 * After `--`: `--rows 100000`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type BenchPlatform, startPlatform } from './leadFiles/platform.ts'
import { machineLine } from './support/machine.ts'
import { formatTable } from './support/table.ts'

const UPLOAD = 'mutation ($input: CreateUploadInput!) { createUpload(input: $input) { path upload { id } } }'
const FINALIZE = 'mutation ($input: FinalizeUploadInput!) { finalizeUpload(input: $input) { upload { state } } }'
const IMPORT = 'mutation ($input: ImportLeadsInput!) { importLeads(input: $input) { job: leadImport { id } } }'
const IMPORTED =
  'query ($id: ID!) { job: importJob(id: $id) { status rowCount createdCount updatedCount problem { message } } }'
const EXPORT = 'mutation ($input: ExportLeadsInput!) { exportLeads(input: $input) { job: leadExport { id } } }'
const EXPORTED = `query ($id: ID!) { job: exportJob(id: $id) {
  status rowCount problem { message } file { sizeBytes downloadPath } } }`

const WATCHED = ['worker', 'oltp', 'content', 'gateway'] as const
const FIFTHS = 5

const { values } = parseArgs({ options: { rows: { type: 'string', default: '100000' } } })
const rows = Number(values.rows)
if (!Number.isSafeInteger(rows) || rows < 1 || rows > 1_000_000) {
  console.error('--rows takes 1 to 1000000')
  process.exit(1)
}

type Job = {
  status: string
  rowCount: number
  createdCount?: number
  updatedCount?: number
  problem: { message: string } | null
}
type Sample = Record<(typeof WATCHED)[number], { memory: number; seconds: number }>

console.log(machineLine())
const platform = await startPlatform()
process.on('SIGINT', () => void platform.stop().then(() => process.exit(130)))
try {
  const csv = makeList(rows)
  console.log(`${rows} rows, ${(csv.length / 2 ** 20).toFixed(1)} MB\n`)
  const uploadId = await upload(csv)
  const made = await measure('import, all new', IMPORT, IMPORTED, { uploadId })
  const changed = await measure('import again, all updated', IMPORT, IMPORTED, { uploadId, updateExisting: true })
  const written = await measure('export', EXPORT, EXPORTED, {})
  const [created, updated, exported] = [made.createdCount, changed.updatedCount, written.rowCount]
  if (created !== rows || updated !== rows || exported !== rows) {
    throw new Error(`of ${rows} rows ${created} were created, ${updated} updated, ${exported} exported`)
  }
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await platform.stop()
}

async function upload(bytes: Buffer): Promise<string> {
  const input = { filename: 'leads.csv', mimeType: 'text/csv', sizeBytes: bytes.length }
  type Answer = { createUpload: { path: string; upload: { id: string } } }
  const { createUpload } = await platform.ask<Answer>(UPLOAD, { input })
  const { path, upload: announced } = createUpload
  const beganAt = performance.now()
  const { status } = await fetch(platform.at(path), { method: 'PUT', body: new Uint8Array(bytes) })
  if (status !== 204) throw new Error(`the upload was answered with ${status}`)
  await platform.ask(FINALIZE, { input: { id: announced.id } })
  console.log(`upload: ${(performance.now() - beganAt).toFixed(0)} ms`)
  return announced.id
}

/** Has a job done and shows how fast it was, and the memory of everyone who had to do with it. */
async function measure(title: string, begin: string, look: string, input: object): Promise<Job> {
  const before = readUsage(platform)
  const beganAt = performance.now()
  const [begun] = Object.values(await platform.ask<Record<string, { job: { id: string } }>>(begin, { input }))
  const samples: Sample[] = []
  for (;;) {
    const { job } = await platform.ask<{ job: Job }>(look, { id: begun?.job.id })
    samples.push(readUsage(platform))
    if (!['QUEUED', 'RUNNING'].includes(job.status)) {
      const seconds = (performance.now() - beganAt) / 1_000
      report(`${title}: ${(job.rowCount / seconds).toFixed(0)} rows/s, ${seconds.toFixed(1)} s`, before, samples)
      if (job.status !== 'COMPLETED') throw new Error(`${title}: ${job.problem?.message ?? job.status}`)
      return job
    }
    await delay(100)
  }
}

function readUsage({ usageOf }: BenchPlatform): Sample {
  return Object.fromEntries(WATCHED.map((name) => [name, usageOf(name)])) as Sample
}

function report(title: string, before: Sample, samples: readonly Sample[]): void {
  const most = (name: (typeof WATCHED)[number], fifth: number) => {
    const from = Math.floor((samples.length * fifth) / FIFTHS)
    const part = samples.slice(from, Math.max(from + 1, Math.floor((samples.length * (fifth + 1)) / FIFTHS)))
    return Math.max(...part.map((sample) => sample[name].memory)).toFixed(0)
  }
  console.log(`\n${title}\n`)
  const fifths = Array.from({ length: FIFTHS }, (_, fifth) => fifth)
  const lines = WATCHED.map((name) => {
    const seconds = (samples.at(-1)?.[name].seconds ?? 0) - before[name].seconds
    return [name, before[name].memory.toFixed(0), ...fifths.map((fifth) => most(name, fifth)), String(seconds)]
  })
  const titles = ['MB resident, most', 'before', ...fifths.map((fifth) => `${fifth + 1}/${FIFTHS}`), 'CPU s']
  console.log(formatTable(titles, lines))
}

/** Rows as tools for finding leads write them: nine columns, some quoted. */
function makeList(count: number): Buffer {
  const lines = ['Email,First Name,Last Name,Company,Job Title,Phone,City,Website,Notes']
  for (let row = 0; row < count; row++) {
    lines.push(
      `person${row}@company${row % 9_973}.example,Ada${row % 97},Lovelace${row % 89},"Company ${row % 9_973}, Ltd",` +
        `Head of ${row % 31},+49 30 ${row},Town ${row % 613},https://company${row % 9_973}.example,"Met at ""Expo"" ${row % 17}"`,
    )
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n`)
}
