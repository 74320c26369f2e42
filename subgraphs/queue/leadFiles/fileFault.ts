/** Why a file can't be read: the graph's own codes of LeadFileProblemCode. */
export type FileFaultCode =
  | 'EMPTY_FILE'
  | 'NO_ROWS'
  | 'TOO_MANY_ROWS'
  | 'INVALID_ENCODING'
  | 'BROKEN_QUOTE'
  | 'ROW_TOO_LARGE'
  | 'FILE_GONE'
  | 'INTERNAL'

/** The file is at fault: trying again would end the same way. */
export class FileFault extends Error {
  readonly code: FileFaultCode

  constructor(code: FileFaultCode, message: string) {
    super(message)
    this.name = 'FileFault'
    this.code = code
  }
}
