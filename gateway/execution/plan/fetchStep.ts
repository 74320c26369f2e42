import type { FetchNode } from '@apollo/query-planner'
import { isObject, type JsonObject, readOwn } from '#platform/execution/json.ts'
import type { Execution, Fetcher, Step } from '../execution.ts'
import type { TypeTest } from '../typeTests.ts'
import { readFaults } from './faults.ts'
import { mergeInto } from './merge.ts'
import { gather, locate, type PlanPath } from './places.ts'
import { compileRepresentation } from './representations.ts'
import { compileRewrites, type Rewrite } from './rewrites.ts'

export type FetchSetup<Context> = {
  fetch: Fetcher<Context>
  typeTest: (type: string) => TypeTest
  /** Whether a name is an interface's or a union's. */
  isAbstract: TypeTest
}

/** Compiles one fetch: its request is written beforehand but for its variables. */
export function compileFetch<Context>(node: FetchNode, path: PlanPath, setup: FetchSetup<Context>): Step<Context> {
  if (node.contextRewrites?.length) throw new Error('@fromContext is not supported')
  const { query, operationName } = { query: node.operation, operationName: node.operationName }
  const head = `${JSON.stringify({ query, operationName }).slice(0, -1)},"variables":{`
  const parts = { node, path, head, rewriteOutput: compileRewrites(node.outputRewrites, setup.typeTest) }
  return node.requires ? entityFetch(parts, setup) : rootFetch(parts, setup)
}

type FetchParts = { node: FetchNode; path: PlanPath; head: string; rewriteOutput: Rewrite | undefined }

function rootFetch<Context>(
  { node, path, head, rewriteOutput }: FetchParts,
  { fetch }: FetchSetup<Context>,
): Step<Context> {
  const writeVariables = compileVariableText(node)
  return async (execution) => {
    const targets = gather(execution.data, path)
    if (targets.length === 0) return
    const answer = await fetch(`${head}${writeVariables(execution.given)}}}`, execution.context, node)
    if (answer.errors) {
      const places = locate(execution.data, path)
      const placesOf = (inner: (string | number)[]) => places.map((place) => [...place, ...inner])
      for (const fault of readFaults(node.serviceName, answer.errors, placesOf)) execution.faults.push(fault)
    }
    if (!isObject(answer.data)) return
    rewriteOutput?.(answer.data)
    for (const target of targets) mergeInto(target, answer.data)
  }
}

function entityFetch<Context>(
  { node, path, head, rewriteOutput }: FetchParts,
  { fetch, typeTest, isAbstract }: FetchSetup<Context>,
): Step<Context> {
  if (node.variableUsages?.includes('representations')) throw new Error('a variable may not be named representations')
  const rewrite = compileRewrites(node.inputRewrites, typeTest)
  const writeRepresentation = compileRepresentation(node.requires ?? [], { typeTest, rewrite })
  const writeVariables = compileVariableText(node)
  return async (execution) => {
    const batch = batchRepresentations(gather(execution.data, path), writeRepresentation, rewriteOutput !== undefined)
    if (batch.count === 0) return
    const variables = writeVariables(execution.given)
    const body = `${head}${variables}${variables && ','}"representations":[${batch.text}]}}`
    const answer = await fetch(body, execution.context, node)
    const entities = isObject(answer.data) ? answer.data._entities : undefined
    if (Array.isArray(entities) && entities.length === batch.count) {
      mergeEntities(batch, entities, { rewrite: rewriteOutput, isAbstract })
    } else if (!answer.errors || entities) {
      const message = `answered something else than ${batch.count} entities`
      execution.faults.push({ message, extensions: { serviceName: node.serviceName } })
    }
    if (answer.errors) addEntityFaults({ node, path, batch }, answer.errors, execution)
  }
}

/** The entities of one fetch: `rows[i]` was sent as the representation number `sentAs[i]`, or not at all (-1). */
type Batch = { rows: JsonObject[]; sentAs: number[]; count: number; text: string }

type MergeRules = { rewrite: Rewrite | undefined; isAbstract: TypeTest }

/** Each distinct representation is sent once, however often the entity appears. */
function batchRepresentations(
  rows: JsonObject[],
  write: (row: JsonObject) => string | undefined,
  keepsTypes: boolean,
): Batch {
  const numbers = new Map<string, number>()
  const sentAs: number[] = []
  let text = ''
  for (const row of rows) {
    const representation = write(row)
    if (representation === undefined) {
      sentAs.push(-1)
      continue
    }
    // Two types may be sent under one interface's name; what is done to the answer may depend on which it was.
    const key = keepsTypes ? `${row.__typename} ${representation}` : representation
    let number = numbers.get(key)
    if (number === undefined) {
      number = numbers.size
      numbers.set(key, number)
      text += number > 0 ? `,${representation}` : representation
    }
    sentAs.push(number)
  }
  return { rows, sentAs, count: numbers.size, text }
}

function mergeEntities({ rows, sentAs }: Batch, entities: unknown[], { rewrite, isAbstract }: MergeRules): void {
  const isRewritten = new Set<unknown>()
  rows.forEach((row, index) => {
    const entity = entities[sentAs[index] ?? -1]
    if (!isObject(entity)) return
    if (rewrite && !isRewritten.has(entity)) {
      isRewritten.add(entity)
      entity.__typename ??= row.__typename
      rewrite(entity)
    }
    // A subgraph that knows only the interface must not make us forget which object type it is.
    if (row.__typename !== undefined && isAbstract(entity.__typename)) entity.__typename = undefined
    mergeInto(row, entity)
  })
}

/** An entity's error is an error at every place the entity has in the answer. */
function addEntityFaults<Context>(
  { node, path, batch }: { node: FetchNode; path: PlanPath; batch: Batch },
  errors: unknown,
  execution: Execution<Context>,
): void {
  const places = placesByNumber(batch, locate(execution.data, path))
  const placesOf = ([, number, ...inner]: (string | number)[]) =>
    places.get(number)?.map((place) => [...place, ...inner]) ?? [undefined]
  for (const fault of readFaults(node.serviceName, errors, placesOf)) execution.faults.push(fault)
}

function placesByNumber({ rows, sentAs }: Batch, places: (string | number)[][]): Map<unknown, (string | number)[][]> {
  const byNumber = new Map<unknown, (string | number)[][]>()
  // Another fetch has replaced a list meanwhile: no place is better than a wrong one.
  if (places.length !== rows.length) return byNumber
  places.forEach((place, index) => {
    const number = sentAs[index]
    const known = byNumber.get(number)
    if (known) known.push(place)
    else byNumber.set(number, [place])
  })
  return byNumber
}

/** Writes those of the client's variables that a fetch uses. Defaults are in the fetch's own text. */
function compileVariableText({ variableUsages = [] }: FetchNode): (given: JsonObject) => string {
  if (variableUsages.length === 0) return () => ''
  const names = variableUsages.map((name) => ({ name, prefix: `${JSON.stringify(name)}:` }))
  return (given) => {
    let text = ''
    for (const { name, prefix } of names) {
      const value = readOwn(given, name)
      if (value !== undefined) text += `${text && ','}${prefix}${JSON.stringify(value)}`
    }
    return text
  }
}
