import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { makeGatewayClient } from '#platform/graph/gatewayClient.ts'
import type { RawMail } from '../../cli/ingest/sources.ts'
import { Tally } from '../../cli/ingest/tally.ts'
import { uploadMails } from '../../cli/ingest/upload.ts'
import { DEMO, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { makeMail } from '../support/mails.ts'
import { foundTenant } from '../support/tenants.ts'

let platform: TestPlatform
beforeAll(async () => {
  platform = await startPlatform()
  await foundTenant(platform.tierClient('oltp'), 'demo')
}, START_TIMEOUT_MS)
afterAll(() => platform?.stop())

async function upload(mails: RawMail[]): Promise<Tally> {
  const tally = new Tally()
  const graph = makeGatewayClient({ url: platform.url, token: () => platform.token(DEMO) })
  await uploadMails(mails, { graph, emailAccountId: null, concurrency: 4, tally })
  return tally
}

const mails: RawMail[] = [
  ...Array.from({ length: 10 }, (_, index) => ({
    name: `mail ${index}`,
    raw: Buffer.from(makeMail({ messageId: `${index}@ingest.example` }), 'base64'),
  })),
  { name: 'picture.png', raw: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0]) },
  { name: 'empty.eml', raw: Buffer.alloc(0) },
]

describe('a run of ingest', () => {
  test('takes in every mail once, names what it could not parse and what it rejected', async () => {
    const first = await upload(mails)
    expect(first).toMatchObject({ accepted: 11, duplicates: 0, unparsed: ['picture.png'] })
    expect(first.rejected).toEqual([{ name: 'empty.eml', reason: expect.stringContaining('0 bytes') }])
    expect(first.summary(1).join('\n')).toMatch(/kept raw, not understood:\n {2}picture.png/)
  })

  test('adds nothing the second time', async () => {
    expect(await upload(mails)).toMatchObject({ accepted: 0, duplicates: 11 })
  })

  test('ends with UNAVAILABLE when the platform is gone, counting only what was taken in', async () => {
    const tally = new Tally()
    const graph = makeGatewayClient({ url: 'http://127.0.0.1:9/graphql', token: async () => 'none' })
    const run = uploadMails(mails.slice(0, 1), { graph, emailAccountId: null, concurrency: 2, tally })
    await expect(run).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(tally.total).toBe(0)
  })
})
