import { v7 as uuidv7 } from 'uuid'
import type { AttachmentFile } from './attachmentFiles.ts'
import { type PackedBlob, packBlob } from './blobs.ts'
import type { Envelope } from './mailEnvelope.ts'
import type { MailKind } from './mailKinds.ts'
import type { ParsedMail } from './mailParsing.ts'
import type { TenantKey } from './tenantKeys.ts'

/** What a stored mail tells the mail flow, as it is kept with it. `date` is ISO 8601. */
export type StoredEnvelope = MailKind & Omit<Envelope, 'date'> & { date: string | null; hasAttachments: boolean }

/** A mail ready to be written. */
export type PackedMessage = {
  id: string
  storageKey: string
  mail: ParsedMail
  envelope: StoredEnvelope
  raw: PackedBlob
  text: PackedBlob | null
  html: PackedBlob | null
  files: PackedFile[]
}
export type PackedFile = { id: string; file: AttachmentFile; blob: PackedBlob }

/** Hashes, compresses and seals the parts of a mail. */
export async function packMessage(message: {
  storageKey: string
  raw: Buffer
  mail: ParsedMail
  key: TenantKey
}): Promise<PackedMessage> {
  const { storageKey, mail, key } = message
  const packText = async (text: string | null) => (text ? packBlob(Buffer.from(text), key) : null)
  const [raw, text, html, ...blobs] = await Promise.all([
    packBlob(message.raw, key),
    packText(mail.text),
    packText(mail.html),
    ...mail.files.map(({ bytes }) => packBlob(bytes, key)),
  ])
  const { messageKind, report, isBulk, envelope, files } = mail
  return {
    id: uuidv7(),
    storageKey,
    mail,
    envelope: {
      ...envelope,
      messageKind,
      report,
      isBulk,
      date: envelope.date?.toISOString() ?? null,
      hasAttachments: files.length > 0,
    },
    raw,
    text,
    html,
    files: files.map((file, index) => ({ id: uuidv7(), file, blob: blobs[index] as PackedBlob })),
  }
}
