import { Decimal } from '@prisma/client/runtime/client'
import pg from 'pg'
import { AppError } from '../errors.ts'
import { readInstant, readPlainTexts } from './prismaTypes.ts'

type Parser = (text: string) => unknown

const { BOOL, BYTEA, DATE, FLOAT4, FLOAT8, INT2, INT4, INT8, JSON: JSON_TYPE, JSONB, NUMERIC } = pg.types.builtins
const { INET, TEXT, TIMESTAMPTZ, UUID, VARCHAR, BPCHAR } = pg.types.builtins
const ARRAYS = { TEXT: 1009, VARCHAR: 1015, UUID: 2951, INT4: 1007, INT8: 1016 }

const asText: Parser = (text) => text
const asNumber: Parser = (text) => Number(text)
const asJson: Parser = (text) => JSON.parse(text)
const readItems = (text: string): string[] =>
  readPlainTexts(text) ?? pg.types.getTypeParser(ARRAYS.TEXT as number)(text)

/** How Prisma reads each type that a model of ours has. */
const PARSERS = new Map<number, Parser>([
  [TEXT, asText],
  [VARCHAR, asText],
  [BPCHAR, asText],
  [UUID, asText],
  [INET, asText],
  [BOOL, (text) => text === 't'],
  [INT2, asNumber],
  [INT4, asNumber],
  [FLOAT4, asNumber],
  [FLOAT8, asNumber],
  [INT8, BigInt],
  [NUMERIC, (text) => new Decimal(text)],
  [JSON_TYPE, asJson],
  [JSONB, asJson],
  [TIMESTAMPTZ, (text) => new Date(readInstant(text) ?? text)],
  [DATE, (text) => new Date(text)],
  [BYTEA, (text) => new Uint8Array(Buffer.from(text.slice(2), 'hex'))],
  [ARRAYS.TEXT, readItems],
  [ARRAYS.VARCHAR, readItems],
  [ARRAYS.UUID, readItems],
  [ARRAYS.INT4, (text) => readItems(text).map(Number)],
  [ARRAYS.INT8, (text) => readItems(text).map(BigInt)],
])

/** Whether columns of this type are read as Prisma reads them. */
export function isReadPlainly(oid: number): boolean {
  return PARSERS.has(oid)
}

/** pg's way to say how a statement's columns are read: into the values that Prisma answers. */
export const readAsPrisma = {
  getTypeParser(oid: number): Parser {
    return PARSERS.get(oid) ?? refuse(oid)
  },
}

/** While a value is read: an error any earlier would leave the connection waiting. */
function refuse(oid: number): Parser {
  return () => {
    throw new AppError('INTERNAL', `no parser for columns of type ${oid}`)
  }
}
