import { fileTypeFromBuffer } from 'file-type'
import { cutText, storableText } from './mailText.ts'
import type { MimeFile } from './mimeReading.ts'

/** A file of a mail as it is kept: a safe name, the type its bytes have. */
export type AttachmentFile = MimeFile & { filename: string; mimeType: string }

const SNIFFED_BYTES = 64 * 1024
const MAX_NAME_LENGTH = 255
const MAX_TYPE_LENGTH = 255
const MAX_CONTENT_ID_LENGTH = 500
const FIRST_PRINTABLE = 0x20
/** Tab, line feed, vertical tab, form feed, carriage return, escape (of ISO-2022 texts). */
const TEXT_CONTROLS = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1b])
const TEXTUAL =
  /^(text|message)\/|^application\/(json|xml|[a-z0-9.+-]+\+(json|xml)|pgp-[a-z]+|javascript|x-sh|rtf|ics)$/

/** Names and types the files of a mail, in order. */
export async function nameFiles(files: readonly MimeFile[]): Promise<AttachmentFile[]> {
  return Promise.all(
    files.map(async (file, position) => ({
      ...file,
      filename: safeFilename(file.filename) ?? `attachment-${position + 1}`,
      declaredMimeType: file.declaredMimeType && cutText(storableText(file.declaredMimeType), MAX_TYPE_LENGTH),
      contentId: file.contentId && cutText(storableText(file.contentId), MAX_CONTENT_ID_LENGTH),
      mimeType: await sniffMimeType(file.bytes, file.declaredMimeType),
    })),
  )
}

/**
 * The base name of what the mail says, fit for any file system: no path, no control or direction-changing characters,
 * no leading dots. Null when nothing is left.
 */
export function safeFilename(name: string | null): string | null {
  const base = storableText(name ?? '')
    .split(/[/\\]/)
    .at(-1) as string
  const plain = base
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .replace(/[<>:"|?*]/g, '_')
    .replace(/^[.\s]+|[.\s]+$/g, '')
  return cutName(plain) || null
}

/** Keeps the extension of a name that is too long. */
function cutName(name: string): string {
  if (name.length <= MAX_NAME_LENGTH) return name
  const extension = /\.[^.]{1,16}$/.exec(name)?.[0] ?? ''
  return cutText(name, MAX_NAME_LENGTH - extension.length) + extension
}

/**
 * The type found in the first bytes. A type that was only claimed counts for plain text alone (nothing in the bytes tells
 * a calendar from a script); what is neither known nor text is `application/octet-stream`.
 */
export async function sniffMimeType(bytes: Buffer, declared: string | null): Promise<string> {
  const head = bytes.subarray(0, SNIFFED_BYTES)
  const claimed = (declared ?? '').toLowerCase()
  const found = await fileTypeFromBuffer(head).catch(() => undefined)
  if (found) return found.mime
  if (!looksLikeText(head)) return 'application/octet-stream'
  return TEXTUAL.test(claimed) && claimed.length <= MAX_TYPE_LENGTH ? claimed : 'text/plain'
}

function looksLikeText(head: Buffer): boolean {
  return head.every((byte) => byte >= FIRST_PRINTABLE || TEXT_CONTROLS.has(byte))
}
