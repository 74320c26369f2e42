import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { FileFault } from './fileFault.ts'

const READ_PART = `query StoredFilePart($storageKey: ID!, $position: Int!) {
  storedFilePart(storageKey: $storageKey, position: $position) { bytes }
}`
const WRITE_PART = 'mutation WriteFilePart($input: WriteFilePartInput!) { writeFilePart(input: $input) { position } }'
const COMPLETE = 'mutation CompleteFile($input: CompleteFileInput!) { completeFile(input: $input) { sizeBytes } }'

/** The largest part that the content tier takes. */
const PART_BYTES = 1024 * 1024

/** For whom, and which job asks. */
export type OnBehalf = { tenantId: string; requestId: string }

/**
 * A file of the content tier, a part at a time: no more of it is held.
 * @throws FileFault FILE_GONE when it is not there; AppError UNAVAILABLE
 */
export async function* readParts(content: ServiceClient, storageKey: string, on: OnBehalf): AsyncGenerator<Buffer> {
  type Answer = { storedFilePart: { bytes: string } | null }
  for (let position = 0; ; position++) {
    const { storedFilePart } = await content.request<Answer>(READ_PART, { storageKey, position }, on)
    if (!storedFilePart && position === 0) throw new FileFault('FILE_GONE', 'the file is not there any more')
    if (!storedFilePart) return
    yield Buffer.from(storedFilePart.bytes, 'base64')
  }
}

export type NewFile = { storageKey: string; filename: string; mimeType: string; keepDays: number }

/** Writes a file of the content tier, a part at a time; it is there once it is closed. */
export class FileWriter {
  readonly #content: ServiceClient
  readonly #file: NewFile
  readonly #on: OnBehalf
  #held: Buffer[] = []
  #size = 0
  #position = 0

  constructor(content: ServiceClient, file: NewFile, on: OnBehalf) {
    this.#content = content
    this.#file = file
    this.#on = on
  }

  /** @throws AppError UNAVAILABLE */
  async write(bytes: Buffer): Promise<void> {
    this.#held.push(bytes)
    this.#size += bytes.length
    while (this.#size >= PART_BYTES) await this.#writePart(PART_BYTES)
  }

  /** @throws AppError UNAVAILABLE */
  async close(): Promise<void> {
    if (this.#size > 0) await this.#writePart(this.#size)
    const { storageKey } = this.#file
    await this.#content.request(COMPLETE, { input: { storageKey, partCount: this.#position } }, this.#on)
  }

  async #writePart(size: number): Promise<void> {
    const whole = Buffer.concat(this.#held)
    const bytes = whole.subarray(0, size).toString('base64')
    const input = { ...this.#file, position: this.#position, bytes }
    await this.#content.request(WRITE_PART, { input }, this.#on)
    this.#position += 1
    this.#held = [whole.subarray(size)]
    this.#size = whole.length - size
  }
}
