/**
 * The same raw mail with other headers: each named header replaces every one of that name (compared without case).
 * The body's bytes stay as they are.
 */
export function withHeaders(raw: Buffer, headers: Record<string, string>): Buffer {
  const { head, body } = splitAtBlankLine(raw)
  const replaced = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  const kept = fieldsOf(head).filter((field) => !replaced.has(field.slice(0, field.indexOf(':')).toLowerCase()))
  const added = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return Buffer.concat([Buffer.from(`${[...added, ...kept].join('\r\n')}\r\n\r\n`, 'latin1'), body])
}

function splitAtBlankLine(raw: Buffer): { head: string; body: Buffer } {
  const match = /\r?\n\r?\n/.exec(raw.toString('latin1'))
  if (!match) return { head: raw.toString('latin1'), body: Buffer.alloc(0) }
  return {
    head: raw.subarray(0, match.index).toString('latin1'),
    body: raw.subarray(match.index + match[0].length),
  }
}

/** Header fields with their continuation lines. */
function fieldsOf(head: string): string[] {
  return head.split(/\r?\n(?![ \t])/).filter((field) => field.includes(':'))
}
