/** Adds a value to a statement and answers its placeholder (`$3`). */
export type Bind = (value: unknown) => string

/** The values of a statement whose text is put together from parts. */
export function collectValues(): { values: unknown[]; bind: Bind } {
  const values: unknown[] = []
  return { values, bind: (value) => `$${values.push(value)}` }
}

/** A span of time, half open. In a job's payload its ends are texts. */
export type Span = { from: Date; to: Date }

export function within(column: string, { from, to }: Span, bind: Bind): string {
  return `${column} >= ${bind(from)} AND ${column} < ${bind(to)}`
}
