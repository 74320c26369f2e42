import type { WriteFilePartInput } from '#graphql/content'
import { AppError } from '#platform/errors.ts'
import { type FileStore, openFile, writePart } from './storedFiles.ts'

/**
 * Writes a part of a file as another tier sends it; whichever comes first begins the file.
 * @throws AppError INVALID_INPUT; CONFLICT when the file is complete
 */
export async function writeFilePart(store: FileStore, input: WriteFilePartInput): Promise<{ position: number }> {
  const { position, keepDays } = input
  if (keepDays < 1 || keepDays > 2_555) throw new AppError('INVALID_INPUT', 'keepDays: must be 1 to 2555')
  await openFile(store, input)
  await writePart(store, { ...input, bytes: Buffer.from(input.bytes, 'base64') })
  return { position }
}
