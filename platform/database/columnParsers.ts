import pg from 'pg'

/** How pg reads a column of a type, unless told otherwise. */
export function columnParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  return pg.types.getTypeParser(oid, format as 'text')
}
