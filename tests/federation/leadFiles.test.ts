import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import type { TokenSubject } from '#platform/caller/developmentToken.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { importFile } from '../../subgraphs/queue/leadFiles/importFile.ts'
import { eventually } from '../support/eventually.ts'
import { DEMO, RIVAL, START_TIMEOUT_MS, startPlatform, type TestPlatform } from '../support/graph.ts'
import { foundTenant, type TestTenant } from '../support/tenants.ts'

let platform: TestPlatform
let demo: TestTenant
let oltp: pg.Pool

beforeAll(async () => {
  platform = await startPlatform({ worker: true })
  demo = await foundTenant(platform.tierClient('oltp'), 'demo')
  await foundTenant(platform.tierClient('oltp'), 'rival')
  oltp = new pg.Pool({ connectionString: platform.databases.oltp.systemUrl })
}, START_TIMEOUT_MS)
afterAll(async () => {
  await oltp?.end()
  await platform?.stop()
})

const operation = (name: string) => readFileSync(`operations/${name}.graphql`, 'utf8')
const [CREATE_UPLOAD, FINALIZE] = [operation('createUpload'), operation('finalizeUpload')]
const [IMPORT, CANCEL, IMPORT_JOB] = [operation('importLeads'), operation('cancelImport'), operation('importJob')]
const [EXPORT, EXPORT_JOB] = [operation('exportLeads'), operation('exportJob')]
const LEADS = `query ($search: String) { leads(first: 100, filter: { search: $search }) {
  nodes { email name company title custom } } }`

const at = (path: string) => new URL(path, platform.url)
const as = (role: string, tenant: TokenSubject = DEMO): TokenSubject => ({ ...tenant, roles: [role] })

async function ask(query: string, variables: object, who: TokenSubject = DEMO) {
  const { data, errors } = await platform.ask(query, variables, who)
  return { data, code: errors?.[0]?.extensions.code }
}

/** Announces a file as a browser does. */
async function announce(bytes: Buffer, input: object = {}, who: TokenSubject = DEMO) {
  const facts = { filename: 'leads.csv', mimeType: 'text/csv', sizeBytes: bytes.length }
  const { data, code } = await ask(CREATE_UPLOAD, { input: { ...facts, ...input } }, who)
  return { code, ...data?.createUpload } as { code?: string; path: string; upload: { id: string; state: string } }
}

async function finalize(id: string, who: TokenSubject = DEMO) {
  const { data, code } = await ask(FINALIZE, { input: { id } }, who)
  return { code, upload: data?.finalizeUpload.upload }
}

const put = (path: string, bytes: Buffer) => fetch(at(path), { method: 'PUT', body: new Uint8Array(bytes) })

async function upload(bytes: Buffer): Promise<string> {
  const { path, upload } = await announce(bytes)
  expect((await put(path, bytes)).status).toBe(204)
  await finalize(upload.id)
  return upload.id
}

/** Imports and waits for the end. */
async function importAll(source: string | Buffer, input: object = {}) {
  const given = typeof source === 'string' ? { csv: source } : { uploadId: await upload(source) }
  const { data, code } = await ask(IMPORT, { input: { ...given, ...input } })
  expect(code).toBeUndefined()
  return ended(data.importLeads.leadImport.id)
}

const ended = (id: string) =>
  eventually(
    async () => (await ask(IMPORT_JOB, { id })).data.importJob,
    ({ status }) => !['QUEUED', 'RUNNING'].includes(status),
    30_000,
  )

const leads = async (search: string, who: TokenSubject = DEMO) => (await ask(LEADS, { search }, who)).data.leads.nodes

describe('a file goes up and comes down through the gateway', () => {
  const bytes = Buffer.from('email\n'.concat('ada@x.example,1234567890\n'.repeat(120_000)))

  test('in parts, byte for byte, with nothing but the signed addresses', async () => {
    const { path, upload } = await announce(bytes, { sha256: createHash('sha256').update(bytes).digest('hex') })
    expect((await finalize(upload.id)).code).toBe('CONFLICT')
    expect((await put(path, bytes)).status).toBe(204)
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
    const log = await eventually(
      async () => (await ask('{ contentAccessLog { nodes { accessType bytes } } }', {})).data.contentAccessLog.nodes,
      (nodes) => nodes.length > 0,
    )
    expect(log).toEqual([{ accessType: 'DOWNLOAD', bytes: bytes.length }])
  })

  test('bytes that are not those announced are refused, nothing of them is kept, and they may be sent again', async () => {
    const good = Buffer.from('email\nada@x.example\n')
    const sha256 = createHash('sha256').update(good).digest('hex')
    const { path, upload } = await announce(good, { sha256 })
    for (const bad of [Buffer.from('short'), Buffer.alloc(good.length, 'x'), Buffer.alloc(5_000_000, 'x')]) {
      expect((await put(path, bad)).status).toBe(400)
    }
    expect((await finalize(upload.id)).code).toBe('CONFLICT')
    const content = new pg.Pool({ connectionString: platform.databases.content.systemUrl })
    const { rows } = await content.query(`SELECT count(*)::int FROM stored_files WHERE storage_key LIKE $1`, [
      `upload/${upload.id}%`,
    ])
    await content.end()
    expect(rows).toEqual([{ count: 0 }])
    expect((await put(path, good)).status).toBe(204)
    expect((await finalize(upload.id)).upload.state).toBe('FINALIZED')
  })

  test('a sender that breaks off leaves nothing behind, and one who finds the tier away is told', async () => {
    const whole = Buffer.alloc(8_000_000, 'x')
    const { path, upload } = await announce(whole)
    const half = request(at(path), { method: 'PUT', headers: { 'content-length': whole.length } })
    half.on('error', () => {})
    half.write(whole.subarray(0, 4_000_000))
    const content = new pg.Pool({ connectionString: platform.databases.content.systemUrl })
    const stored = async () => {
      const text = 'SELECT count(*)::int FROM stored_files WHERE storage_key LIKE $1'
      return (await content.query(text, [`upload/${upload.id}%`])).rows[0].count
    }
    await eventually(stored, (count) => count === 1)
    half.destroy()
    await eventually(stored, (count) => count === 0)
    await content.end()
    await platform.stopTier('content')
    expect((await put(path, whole)).status).toBe(503)
    await platform.startTier('content')
    expect((await put(path, whole)).status).toBe(204)
  })

  test('an address that was tampered with, or is for something else, leads nowhere', async () => {
    const { path, upload } = await announce(Buffer.from('email\n'))
    await put(path, Buffer.from('email\n'))
    const { downloadPath } = (await finalize(upload.id)).upload.file
    const [body, seal] = downloadPath.slice('/files/'.length).split('.')
    const other = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(body, 'base64url').toString()), k: 'x' }))
    const forged = [
      ...[
        '/files/x',
        '/files/',
        '/files/..%2fgraphql',
        `/files/${body}.`,
        `/files/${other.toString('base64url')}.${seal}`,
      ],
      path,
    ]
    for (const address of forged) expect((await fetch(at(address))).status).toBe(404)
    expect((await put(downloadPath, Buffer.from('email\n'))).status).toBe(404)
  })

  test('what is no file, too large or another tenant’s is refused, and viewers announce none', async () => {
    expect((await announce(Buffer.from('x'), { filename: '..' })).code).toBe('INVALID_INPUT')
    expect((await announce(Buffer.from('x'), { mimeType: 'csv' })).code).toBe('INVALID_INPUT')
    expect((await announce(Buffer.from('x'), { sha256: 'x' })).code).toBe('INVALID_INPUT')
    expect((await announce(Buffer.from('x'), { sizeBytes: 0 })).code).toBe('INVALID_INPUT')
    expect((await announce(Buffer.from('x'), { sizeBytes: 2_000_000_000 })).code).toBe('LIMIT_REACHED')
    expect((await announce(Buffer.from('x'), {}, as('viewer'))).code).toBe('FORBIDDEN')
    const { upload } = await announce(Buffer.from('x'))
    expect((await finalize(upload.id, RIVAL)).code).toBe('NOT_FOUND')
    expect((await ask(IMPORT, { input: { uploadId: upload.id } }, RIVAL)).code).toBe('NOT_FOUND')
    expect((await ask(IMPORT, { input: { uploadId: upload.id } })).code).toBe('CONFLICT')
  })

  test('an announcement is the same under the same key', async () => {
    const once = { idempotencyKey: 'one upload' }
    const [first, again] = [await announce(Buffer.from('x'), once), await announce(Buffer.from('x'), once)]
    expect(again.upload.id).toBe(first.upload.id)
    expect((await announce(Buffer.from('xy'), once)).code).toBe('CONFLICT')
  })
})

describe('a list of leads is imported', () => {
  test('with known headers, own fields, quotes, both line ends, and every row counted once', async () => {
    const csv = [
      'E-mail,First Name,Last name,Company,Phone number,Note',
      'Ada@One.Example,Ada,Lovelace,"Engines, Ltd",+44 1,"said ""hi""\nand left"',
      'not an address,x,,,,',
      'ada@one.example,Again,,,,',
      ',No,Body,,,',
      '',
      'bob@one.example,Bob,,,,,too many',
      'carl@one.example,Carl,,,,',
    ].join('\r\n')
    const done = await importAll(csv)
    expect(done).toMatchObject({
      ...{ status: 'COMPLETED', rowCount: 7, createdCount: 2, updatedCount: 0, duplicateCount: 1, suppressedCount: 0 },
      ...{ errorCount: 3, problem: null, totalBytes: Buffer.byteLength(csv), readBytes: Buffer.byteLength(csv) },
      errors: {
        totalCount: 3,
        nodes: [
          {
            rowNumber: 2,
            code: 'INVALID_EMAIL',
            message: 'email: is not an address',
            rowText: 'not an address | x |  |  |  | ',
          },
          { rowNumber: 4, code: 'MISSING_EMAIL' },
          { rowNumber: 6, code: 'TOO_MANY_CELLS' },
        ],
      },
    })
    expect(await leads('one.example')).toEqual([
      expect.objectContaining({ email: 'carl@one.example', name: 'Carl', custom: { first_name: 'Carl' } }),
      {
        ...{ email: 'ada@one.example', name: 'Ada Lovelace', company: 'Engines, Ltd', title: null },
        custom: { first_name: 'Ada', last_name: 'Lovelace', phone_number: '+44 1', note: 'said "hi"\nand left' },
      },
    ])
    expect(await leads('one.example', RIVAL)).toEqual([])
  })

  test.each([
    ['UTF-8 with its mark', (text: string) => Buffer.from(`\ufeff${text}`)],
    ['UTF-16 as Excel saves it', (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16 the other way round', (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
    ['UTF-16 without a mark', (text: string) => Buffer.from(text, 'utf16le')],
    ['Windows-1252', (text: string) => Buffer.from(text, 'latin1')],
  ])('from %s, with semicolons', async (name, encode) => {
    const domain = `${createHash('sha1').update(name).digest('hex').slice(0, 8)}.example`
    const done = await importAll(
      encode(`email;name;Straße\nx@${domain};Zoë Müller;Hauptstraße 1, "links\n`.replace('"', '')),
    )
    expect(done).toMatchObject({ status: 'COMPLETED', createdCount: 1 })
    expect(await leads(domain)).toEqual([
      expect.objectContaining({ name: 'Zoë Müller', custom: { straße: 'Hauptstraße 1, links' } }),
    ])
  })

  test('columns are what their mapping says, whatever their headers', async () => {
    const columnMapping = [
      { column: 'Kontakt', field: 'EMAIL' },
      { column: 'email', field: 'IGNORE' },
      { column: 'Wer', field: 'NAME' },
      { column: 'Stadt', field: 'CUSTOM', customName: 'city' },
    ]
    const csv = 'email\tKontakt\tWer\tStadt\nnobody@map.example\tmia@map.example\tMia\tWien\n'
    expect(await importAll(csv, { columnMapping })).toMatchObject({ status: 'COMPLETED', createdCount: 1 })
    expect(await leads('map.example')).toEqual([
      { email: 'mia@map.example', name: 'Mia', company: null, title: null, custom: { city: 'Wien' } },
    ])
  })

  const wide = (columns: number) =>
    `email,${Array.from({ length: columns - 1 }, (_, index) => `c${index}`).join(',')}\n`
  test.each<[string, string | Buffer, string]>([
    ['a quote that never ends', 'email,name\na@bad.example,"open\nb@bad.example,x\n', 'BROKEN_QUOTE'],
    ['a quote where none may stand', 'email,name\na@bad.example,"x" y\n', 'BROKEN_QUOTE'],
    ['a quote within a row of megabytes', `email,name\na@bad.example,"${'x\n'.repeat(600_000)}`, 'ROW_TOO_LARGE'],
    ['bytes of no encoding', Buffer.from([0x65, 0x6d, 0x61, 0x69, 0x6c, 0x0a, 0xff, 0x81, 0x0a]), 'INVALID_ENCODING'],
    ['a spreadsheet', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(300, 0xfe)]), 'INVALID_ENCODING'],
    ['half of a UTF-16 pair', Buffer.from('\ufeffemail\na\ud83d@bad.example\n', 'utf16le'), 'INVALID_ENCODING'],
    ['1,000 columns', `${wide(1000)}a@bad.example\n`, 'TOO_MANY_COLUMNS'],
    ['more own fields than a lead may have', `${wide(150)}a@bad.example\n`, 'TOO_MANY_COLUMNS'],
    ['nothing but a header', 'email,name\n', 'NO_ROWS'],
    ['nothing but blank lines', '\n \n\r\n', 'EMPTY_FILE'],
    ['no column for addresses', 'name,phone\nAda,1\n', 'NO_EMAIL_COLUMN'],
  ])('%s changes nothing and says why', async (_name, source, code) => {
    // A row of megabytes is more than may be given inline.
    const done = await importAll(typeof source === 'string' ? Buffer.from(source) : source)
    expect(done).toMatchObject({ status: 'FAILED', createdCount: 0, problem: { code } })
    expect(await leads('bad.example')).toEqual([])
  })

  test('a mapping of a column that is not there says so', async () => {
    const columnMapping = [{ column: 'Address', field: 'EMAIL' }]
    const done = await importAll('email\na@bad.example\n', { columnMapping })
    expect(done).toMatchObject({ status: 'FAILED', problem: { code: 'UNKNOWN_COLUMN' } })
  })

  test('a row with a NUL or an endless field is refused alone', async () => {
    const csv = `email,name,note\na@nul.example,a\0b,\nb@nul.example,${'n'.repeat(500)},\nc@nul.example,,${'x'.repeat(20_000)}\nd@nul.example,,\n`
    const done = await importAll(csv)
    expect(done).toMatchObject({ status: 'COMPLETED', createdCount: 1, errorCount: 3 })
    expect(done.errors.nodes.map(({ code }: { code: string }) => code)).toEqual([
      'INVALID_CHARACTERS',
      'INVALID_VALUE',
      'INVALID_VALUE',
    ])
  })

  test('leads join a campaign, those who were there too, and the one who asked is told', async () => {
    const csv = `email\n${demo.leadEmail}\nnew@join.example\n`
    const done = await importAll(csv, { campaignId: demo.campaignId })
    expect(done).toMatchObject({ status: 'COMPLETED', createdCount: 1, duplicateCount: 1 })
    const campaign = 'query ($id: ID!) { campaign(id: $id) { enrollments { nodes { lead { email } } } } }'
    const { data } = await ask(campaign, { id: demo.campaignId })
    const emails = data.campaign.enrollments.nodes.map(({ lead }: { lead: { email: string } }) => lead.email)
    expect(emails.sort()).toEqual([demo.leadEmail, 'new@join.example'].sort())
    const told = await eventually(
      async () => (await ask('{ notifications { nodes { type title } } }', {})).data.notifications.nodes,
      (nodes) => nodes.length > 0,
    )
    expect(told[0]).toEqual({ type: 'lead_import', title: expect.stringContaining('list of leads') })
  })

  test('once per key, and what was asked for is refused where it cannot be done', async () => {
    const once = { csv: 'email\nonce@key.example\n', idempotencyKey: 'one import' }
    const answers = await Promise.all([1, 2, 3].map(() => ask(IMPORT, { input: once })))
    const ids = new Set(answers.map(({ data }) => data.importLeads.leadImport.id))
    expect(ids.size).toBe(1)
    expect((await ask(IMPORT, { input: { ...once, csv: 'email\n' } })).code).toBe('CONFLICT')
    const refused: [object, string][] = [
      [{}, 'INVALID_INPUT'],
      [{ csv: '' }, 'INVALID_INPUT'],
      [{ csv: 'x', uploadId: demo.campaignId }, 'INVALID_INPUT'],
      [{ uploadId: 'x' }, 'INVALID_INPUT'],
      [{ uploadId: demo.campaignId }, 'NOT_FOUND'],
      [{ csv: 'x', campaignId: demo.leadId }, 'NOT_FOUND'],
      [{ csv: 'x'.repeat(1024 * 1024 + 1) }, 'LIMIT_REACHED'],
      [{ csv: 'x', columnMapping: [{ column: 'a', field: 'CUSTOM', customName: 'with space' }] }, 'INVALID_INPUT'],
    ]
    for (const [input, code] of refused) expect([input, (await ask(IMPORT, { input })).code]).toEqual([input, code])
    expect((await ask(IMPORT, { input: { csv: 'email\n' } }, as('viewer'))).code).toBe('FORBIDDEN')
    expect((await ask(IMPORT, { input: { csv: 'x', campaignId: demo.campaignId } }, RIVAL)).code).toBe('NOT_FOUND')
    const [id] = ids
    expect((await ask(IMPORT_JOB, { id }, RIVAL)).data.importJob).toBeNull()
    expect((await ask(CANCEL, { input: { id } }, RIVAL)).code).toBe('NOT_FOUND')
  })

  test('cancelled while it waits it never begins, and cancelled at its end it is a conflict', async () => {
    await platform.stopWorker()
    const { data } = await ask(IMPORT, { input: { csv: 'email\na@never.example\n' } })
    const { id } = data.importLeads.leadImport
    expect((await ask(CANCEL, { input: { id } }, as('viewer'))).code).toBe('FORBIDDEN')
    expect((await ask(CANCEL, { input: { id } })).data.cancelImport.leadImport.status).toBe('CANCELLED')
    expect((await ask(CANCEL, { input: { id } })).code).toBeUndefined()
    await platform.startWorker()
    const done = await importAll('email\nb@ever.example\n')
    expect(done.status).toBe('COMPLETED')
    expect(await leads('never.example')).toEqual([])
    expect((await ended(id)).status).toBe('CANCELLED')
    const { rows } = await oltp.query(`SELECT id FROM lead_imports WHERE status = 'completed' LIMIT 1`)
    expect((await ask(CANCEL, { input: { id: rows[0].id } })).code).toBe('CONFLICT')
  })
})

test('imports and exports are listed, each tenant’s own, exports to those who may', async () => {
  const [imports, exports] = [operation('leadImports'), operation('leadExports')]
  for (const role of ['owner', 'admin', 'manager', 'employee', 'viewer']) {
    const { data, code } = await ask(imports, { first: 2 }, as(role))
    expect(code).toBeUndefined()
    expect(data.leadImports.nodes).toHaveLength(2)
    expect((await ask(exports, {}, as(role))).code).toBe(
      ['employee', 'viewer'].includes(role) ? 'FORBIDDEN' : undefined,
    )
  }
  expect((await ask(imports, {}, RIVAL)).data.leadImports.nodes).toEqual([])
  expect((await ask(exports, {}, RIVAL)).data.leadExports.nodes).toEqual([])
})

test('whatever a person did about lists is in the audit log, under that person', async () => {
  const log = 'query { auditLog(first: 100) { nodes { action actor { id } } } }'
  const wanted = ['upload.create', 'upload.finalize', 'lead.import', 'lead.import.cancel']
  const nodes = await eventually(
    async () => (await ask(log, {})).data.auditLog.nodes,
    (found: { action: string; actor: { id: string } }[]) =>
      wanted.every((action) => found.some((entry) => entry.action === action)),
  )
  expect(new Set(nodes.map(({ actor }) => actor.id))).toEqual(new Set([DEMO.userId]))
  expect((await ask(log, {}, RIVAL)).data.auditLog.nodes).toEqual([])
})

describe('a job that dies', () => {
  /** A client that dies at its nth call: before it is sent, or with its answer. */
  const dying = (client: ServiceClient, at: number, when: 'before' | 'after'): ServiceClient => {
    let calls = 0
    return {
      to: client.to,
      async request(query, variables, options) {
        const isLast = calls++ === at
        if (isLast && when === 'before') throw new Error('died')
        const answer = await client.request<never>(query, variables, options)
        if (isLast) throw new Error('died')
        return answer
      },
    }
  }

  test('between any two steps is taken up where it was, and no row is counted twice', async () => {
    await platform.stopWorker()
    const rows = Array.from({ length: 3_500 }, (_, index) => {
      if (index % 100 === 1) return ''
      if (index % 100 === 2) return 'bad,x'
      // The same address again, far behind.
      return `r${index % 100 === 3 ? 3 : index}@crash.example,Name ${index}`
    })
    const csv = `email,name\n${demo.leadEmail},New Name\n${rows.join('\n')}\n${demo.leadEmail},Late Name\n`
    const { data } = await ask(IMPORT, { input: { uploadId: await upload(Buffer.from(csv)), updateExisting: true } })
    const { id } = data.importLeads.leadImport
    const [oltpClient, content] = [platform.tierClient('oltp'), platform.tierClient('content')]
    const work = {
      payload: { leadImportId: id, updateExisting: true, requestedBy: null },
      on: { tenantId: demo.tenantId, requestId: 'test' },
      signal: new AbortController().signal,
      onProgress: () => {},
    }
    for (const call of [0, 1, 2]) {
      const dead = importFile({ ...work, oltp: oltpClient, content: dying(content, call, 'before') })
      await expect(dead).rejects.toThrow('died')
    }
    // Of oltp's calls the first takes the import up, the second shows the header; then come four batches, and the end.
    const deaths = [
      ...(['before', 'after'] as const).flatMap((when) => [0, 1, 2].map((call) => [call, when] as const)),
      ...([
        [3, 'before'],
        [2, 'after'],
        [2, 'after'],
        [2, 'before'],
      ] as const),
    ]
    for (const [call, when] of deaths) {
      const dead = importFile({ ...work, content, oltp: dying(oltpClient, call, when) })
      await expect(dead).rejects.toThrow('died')
    }
    await importFile({ ...work, oltp: oltpClient, content })
    // 35 blank, 35 bad, one address 35 times, and one of a lead that was there at both ends.
    expect(await ended(id)).toMatchObject({
      ...{ status: 'COMPLETED', rowCount: 3_502, createdCount: 3_500 - 35 - 35 - 34, errorCount: 35 },
      ...{ duplicateCount: 35, updatedCount: 1, suppressedCount: 0 },
    })
    expect((await leads(demo.leadEmail))[0]).toMatchObject({ name: 'New Name' })
    const { rows: counted } = await oltp.query(`SELECT count(*)::int FROM leads WHERE email LIKE '%@crash.example'`)
    expect(counted).toEqual([{ count: 3_500 - 35 - 35 - 34 }])
    await platform.startWorker()
  })
})

describe('leads are exported', () => {
  const exportAll = async (input: object, who: TokenSubject = DEMO) => {
    const { data, code } = await ask(EXPORT, { input }, who)
    if (code) return { code }
    const done = await eventually(
      async () => (await ask(EXPORT_JOB, { id: data.exportLeads.leadExport.id }, who)).data.exportJob,
      ({ status }) => !['QUEUED', 'RUNNING'].includes(status),
      30_000,
    )
    return { ...done, id: data.exportLeads.leadExport.id }
  }

  test('to a file that holds no formulas and can be imported again', async () => {
    const formulas = ['=1+1', '+1', '-1', '@x', '=HYPERLINK("http://evil.example")']
    const rows = formulas.map((text, index) => `f${index}@out.example,"${text.replaceAll('"', '""')}",Größe ${index}`)
    await importAll(['email,name,size', ...rows].join('\n'))
    const done = await exportAll({ filter: { search: 'out.example' } })
    expect(done).toMatchObject({ status: 'COMPLETED', rowCount: 5, problem: null })
    const text = await (await fetch(at(done.file.downloadPath))).text()
    const [header, ...lines] = text.trimEnd().split('\r\n')
    expect(header).toMatch(/^\ufeff?email,name,company,title,status,/)
    expect(header).toContain('size')
    expect(lines).toHaveLength(5)
    expect(lines.join('\n')).not.toMatch(/(^|,)"?[=+@-]/m)
    expect(lines[4]).toContain('"\'=HYPERLINK(""http://evil.example"")"')
    expect(lines[0]).toContain('Größe 0')
    const again = await importAll(Buffer.from(text))
    expect(again).toMatchObject({ status: 'COMPLETED', rowCount: 5, duplicateCount: 5 })
  })

  test('only by those who may, only their own, and once per key', async () => {
    for (const role of ['viewer', 'employee']) expect((await exportAll({}, as(role))).code).toBe('FORBIDDEN')
    const mine = await exportAll({ idempotencyKey: 'one export' }, as('manager'))
    expect(mine.status).toBe('COMPLETED')
    expect((await exportAll({ idempotencyKey: 'one export' })).id).toBe(mine.id)
    expect((await exportAll({ idempotencyKey: 'one export', filter: { search: 'x' } })).code).toBe('CONFLICT')
    expect((await ask(EXPORT_JOB, { id: mine.id }, as('employee'))).code).toBe('FORBIDDEN')
    expect((await ask(EXPORT_JOB, { id: mine.id }, RIVAL)).data.exportJob).toBeNull()
    expect((await exportAll({ filter: { campaignId: demo.campaignId } }, RIVAL)).code).toBe('NOT_FOUND')
    const theirs = await exportAll({}, RIVAL)
    const text = await (await fetch(at(theirs.file.downloadPath))).text()
    expect(text).toContain('lead-of-rival.example')
    expect(text).not.toContain('lead-of-demo.example')
  })
})
