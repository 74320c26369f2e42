declare module 'mbox-reader' {
  /** Messages of an mbox file, one at a time, without their `From ` lines. */
  export function mboxReader(input: NodeJS.ReadableStream): AsyncGenerator<{ content: Buffer }>
}
