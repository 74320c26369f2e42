import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { GraphAnswer } from '../../support/graph.ts'
import type { Kind } from './kinds.ts'

/** What was answered, the id that was asked for replaced by a placeholder. */
export type Told = { data: unknown; errors: unknown }

/** The part of an answer that must not depend on whose the id is: all of it but the request's own id. */
export function readAnswer({ data, errors }: Pick<GraphAnswer, 'data' | 'errors'>, asked = ''): Told {
  const text = JSON.stringify({ data, errors })
  return JSON.parse(asked ? text.replaceAll(new RegExp(quoteForRegExp(asked), 'gi'), '<asked>') : text)
}

/** Mutations that make something of the asker's own whatever they find: it is new each time. */
const MAKES_ANEW = new Set(['exportLeads'])

/** The same without what names and dates things that were just made. */
export function withoutNew(told: Told, mutation: string): Told {
  if (!MAKES_ANEW.has(mutation)) return told
  const text = JSON.stringify(told).replaceAll(/"(id|createdAt)":"[^"]*"/g, '"$1":"<new>"')
  return JSON.parse(text)
}

/** Which of a tenant's markers an answer shows; at most ten. */
export function findMarkers(answer: Told, markers: readonly string[]): string[] {
  const text = JSON.stringify(answer)
  return markers.filter((marker) => text.includes(marker)).slice(0, 10)
}

/** The codes of an answer's errors. */
export function codesOf({ errors }: Told): string[] {
  return ((errors ?? []) as GraphAnswer['errors'] & object).map(({ extensions }) => extensions.code)
}

/** An id, or a text, that nobody has. */
export function absentOf(kind: Kind): string {
  if (kind === 'ContentObject') return `mail/${randomBytes(32).toString('hex')}`
  return kind.includes('.') ? `nobody ${randomBytes(8).toString('hex')}` : uuidv7()
}

/** The same of what was refused as a whole, not in parts: what staff ask for may lead to what only tenants' users may see. */
export function rootCodesOf({ errors }: Told): string[] {
  const all = (errors ?? []) as GraphAnswer['errors'] & object
  return all.filter(({ path }) => (path?.length ?? 0) <= 1).map(({ extensions }) => extensions.code)
}

/** Fields that tell the time, or what was done at this moment. */
const OF_THE_MOMENT = new Set([
  'asOf',
  // Signed for five minutes from now.
  'downloadPath',
  'analyticsWatermarks',
  'contentAccessLog',
  'lastAccessedAt',
  'oldestPendingSeconds',
  'ratePerMinute',
  ...['throughputPerMinute', 'errorRate', 'health'],
  'eta',
])

/** The same without what changes from moment to moment. */
export function withoutMoments(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMoments)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, isOfTheMoment(name) ? '<moment>' : withoutMoments(part)]),
  )
}

/** Fields of a union are asked for under their type's name, as in `ContentObject_lastAccessedAt`. */
function isOfTheMoment(name: string): boolean {
  return OF_THE_MOMENT.has(name.slice(name.lastIndexOf('_') + 1))
}

function quoteForRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
