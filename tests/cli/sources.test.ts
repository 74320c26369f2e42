import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { corpusFiles, countMails, readMails } from '../../cli/ingest/sources.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'penguinmails-mail-'))
const at = (name: string) => path.join(folder, name)

beforeAll(() => {
  mkdirSync(at('inbox/deeper'), { recursive: true })
  writeFileSync(at('inbox/b.eml'), 'Subject: b\r\n\r\nb')
  writeFileSync(at('inbox/deeper/a.eml'), 'Subject: a\r\n\r\na')
  writeFileSync(at('inbox/.hidden'), 'not a mail')
  writeFileSync(at('empty.eml'), '')
  writeFileSync(
    at('two.mbox'),
    'From x@example Thu Aug 22 12:36:23 2002\nSubject: one\n\nfirst\n>From here on\n\n' +
      'From y@example Thu Aug 22 12:36:24 2002\nSubject: two\n\nsecond\n',
  )
})
afterAll(() => rmSync(folder, { recursive: true }))

async function read(...paths: string[]) {
  const mails: { name: string; raw: string }[] = []
  for await (const { name, raw } of readMails(paths)) {
    mails.push({ name: path.relative(folder, name), raw: raw.toString('latin1') })
  }
  return mails
}

describe('raw mail is read from what the command line names', () => {
  test('a file is one mail, byte for byte', async () => {
    expect(await read(at('inbox/b.eml'))).toEqual([{ name: 'inbox/b.eml', raw: 'Subject: b\r\n\r\nb' }])
  })

  test('a folder is read whole, in order, without hidden files', async () => {
    expect((await read(folder)).map(({ name }) => name)).toEqual([
      'empty.eml',
      'inbox/b.eml',
      'inbox/deeper/a.eml',
      'two.mbox#1',
      'two.mbox#2',
    ])
  })

  test('an mbox gives its messages without From lines, quoted ones restored', async () => {
    const [one, two] = await read(at('two.mbox'))
    expect(one?.raw).toMatch(/^Subject: one\r?\n\r?\nfirst\r?\nFrom here on/)
    expect(two?.raw).toMatch(/^Subject: two/)
  })

  test('the corpus is 6,046 mails, none with the From line of its file', async () => {
    expect(await corpusFiles()).toHaveLength(6046)
    expect(await countMails(['corpus'])).toBe(6046)
    for await (const { raw } of readMails(['corpus'])) {
      expect(raw.toString('latin1')).not.toMatch(/^From /)
      break
    }
  })

  test('the number of mails is known beforehand unless an mbox is among them', async () => {
    expect(await countMails([at('inbox')])).toBe(2)
    expect(await countMails([folder])).toBeNull()
  })

  test('a path that does not exist is told', async () => {
    await expect(read(at('none'))).rejects.toThrow(/no file or folder .*none/)
  })
})
