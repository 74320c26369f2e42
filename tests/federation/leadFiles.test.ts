import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant } from '../support/tenants.ts'

let platform: TestPlatform

beforeAll(async () => {
  platform = await startPlatform({ worker: true })
  await foundTenant(platform.tierClient('oltp'), 'demo')
  await foundTenant(platform.tierClient('oltp'), 'rival')
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

const CREATE_UPLOAD = `mutation ($input: CreateUploadInput!) { createUpload(input: $input) { path upload { id state } } }`
const FINALIZE = `mutation ($input: FinalizeUploadInput!) { finalizeUpload(input: $input) {
  upload { id state file { filename mimeType sizeBytes downloadPath } } } }`

const at = (path: string) => new URL(path, platform.url)
const as = (role: string, tenant = DEMO) => ({ ...tenant, roles: [role] })

/** Announces a file as a browser does. */
async function announce(bytes: Buffer, input: object = {}, who = DEMO) {
  const facts = { filename: 'leads.csv', mimeType: 'text/csv', sizeBytes: bytes.length }
  const { data, errors } = await platform.ask(CREATE_UPLOAD, { input: { ...facts, ...input } }, who)
  return { code: errors?.[0]?.extensions.code, ...data?.createUpload } as {
    code?: string
    path: string
    upload: { id: string; state: string }
  }
}

async function finalize(id: string, who = DEMO) {
  const { data, errors } = await platform.ask(FINALIZE, { input: { id } }, who)
  return { code: errors?.[0]?.extensions.code, upload: data?.finalizeUpload.upload }
}

const put = (path: string, bytes: Buffer) => fetch(at(path), { method: 'PUT', body: new Uint8Array(bytes) })

describe('a file goes up and comes down through the gateway', () => {
  const bytes = Buffer.from('email\n'.concat('ada@x.example,1234567890\n'.repeat(120_000)))

  test('in parts, byte for byte, with nothing but the signed addresses', async () => {
    const { path, upload } = await announce(bytes, { sha256: createHash('sha256').update(bytes).digest('hex') })
    expect((await finalize(upload.id)).code).toBe('CONFLICT')
    const sent = await put(path, bytes)
    expect(sent.status).toBe(204)
    const { upload: done } = await finalize(upload.id)
    expect(done).toMatchObject({
      state: 'FINALIZED',
      file: { filename: 'leads.csv', mimeType: 'text/csv', sizeBytes: bytes.length },
    })
    const got = await fetch(at(done.file.downloadPath))
    expect(got.status).toBe(200)
    expect(got.headers.get('content-disposition')).toContain('attachment; filename="leads.csv"')
    expect(got.headers.get('content-type')).toBe('text/csv')
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true)
    expect((await put(path, bytes)).status).toBe(409)
  })
})
