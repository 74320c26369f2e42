import type { FetchNode, PlanNode, QueryPlan, QueryPlanFieldNode, QueryPlanSelectionNode } from '@apollo/query-planner'
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  type SelectionNode,
  type SelectionSetNode,
  stripIgnoredCharacters,
  type VariableDefinitionNode,
  visit,
} from 'graphql'
import type { StandIns } from './stands.ts'

/** A field of a representation that is read under another name than it is sent. */
export type StandingField = QueryPlanFieldNode & { readonly readAs?: string }

/**
 * Puts the real fields back in a plan: each stand is asked for as the field and arguments it stands for, under its own
 * name, and sent under the field's. A fetch that would need one field with two sets of arguments becomes several.
 */
export function settleStandIns(plan: QueryPlan, standIns: StandIns): QueryPlan {
  if (standIns.byName.size === 0 || !plan.node || plan.node.kind === 'Subscription') return plan
  return { ...plan, node: settleNode(plan.node, standIns) }
}

function settleNode(node: PlanNode, standIns: StandIns): PlanNode {
  switch (node.kind) {
    case 'Sequence':
    case 'Parallel':
      return { ...node, nodes: node.nodes.map((inner) => settleNode(inner, standIns)) }
    case 'Flatten':
      return { ...node, node: settleNode(node.node, standIns) }
    case 'Condition': {
      const { ifClause, elseClause } = node
      return {
        ...node,
        ...(ifClause && { ifClause: settleNode(ifClause, standIns) }),
        ...(elseClause && { elseClause: settleNode(elseClause, standIns) }),
      }
    }
    case 'Fetch': {
      const nodes = splitFetch(node, standIns).map((part) => settleFetch(part, standIns))
      const [only] = nodes
      return only && nodes.length === 1 ? only : { kind: 'Parallel', nodes }
    }
    case 'Defer':
      return node
  }
}

function settleFetch(node: FetchNode, { byName }: StandIns): FetchNode {
  const document = visit(parse(node.operation), {
    Field(field) {
      const stand = byName.get(field.name.value)
      if (!stand) return undefined
      const alias = field.alias ?? field.name
      return { ...field, alias, name: { kind: Kind.NAME, value: stand.field }, arguments: stand.arguments }
    },
  })
  const requires = node.requires?.map((selection) => settleRequired(selection, byName))
  return { ...node, operation: stripIgnoredCharacters(print(document)), ...(requires && { requires }) }
}

function settleRequired(node: QueryPlanSelectionNode, byName: StandIns['byName']): QueryPlanSelectionNode {
  const selections = node.selections?.map((inner) => settleRequired(inner, byName))
  if (node.kind === 'InlineFragment') return { ...node, selections: selections ?? [] }
  const stand = byName.get(node.name)
  const settled: StandingField = {
    ...node,
    ...(selections && { selections }),
    ...(stand && { name: stand.field, readAs: node.alias ?? node.name }),
  }
  return settled
}

/** One fetch for each group of fields whose requirements get along with each other. */
function splitFetch(node: FetchNode, standIns: StandIns): FetchNode[] {
  const required = standsIn(node.requires ?? [], standIns)
  if (!hasConflict(required, standIns)) return [node]
  const document = withoutSpreads(parse(node.operation))
  const groups: Set<string>[] = []
  // Each field goes to the first group it gets along with; those that require nothing, to the first of all.
  const groupOf = (type: string, field: string) => {
    const needed = [...(standIns.requiredBy.get(`${type}.${field}`) ?? [])].filter((name) => required.has(name))
    const found = groups.findIndex((group) => !hasConflict(new Set([...group, ...needed]), standIns))
    const index = found < 0 ? groups.push(new Set()) - 1 : found
    for (const name of needed) groups[index]?.add(name)
    return index
  }
  const numbered = new Map<SelectionNode, number>()
  visitEntityFields(document, (type, field, node) => numbered.set(node, groupOf(type, field)))
  return groups.map((group, index) => {
    const own = filterEntityFields(document, (selection) => numbered.get(selection) === index)
    const names = variablesOf(own)
    return {
      ...node,
      operation: stripIgnoredCharacters(print(own)),
      variableUsages: (node.variableUsages ?? []).filter((name) => names.has(name)),
      requires: withoutStands(node.requires ?? [], (name) => required.has(name) && !group.has(name)),
    }
  })
}

function hasConflict(names: ReadonlySet<string>, { byName }: StandIns): boolean {
  const seen = new Set<string>()
  for (const name of names) {
    const stand = byName.get(name)
    const key = `${stand?.parent}.${stand?.field}`
    if (seen.has(key)) return true
    seen.add(key)
  }
  return false
}

function standsIn(selections: readonly QueryPlanSelectionNode[], standIns: StandIns, found = new Set<string>()) {
  for (const node of selections) {
    if (node.kind === 'Field' && standIns.byName.has(node.name)) found.add(node.name)
    if (node.selections) standsIn(node.selections, standIns, found)
  }
  return found
}

function withoutStands(
  selections: readonly QueryPlanSelectionNode[],
  isForeign: (name: string) => boolean,
): QueryPlanSelectionNode[] {
  return selections.flatMap((node): QueryPlanSelectionNode[] => {
    if (node.kind === 'Field' && isForeign(node.name)) return []
    if (!node.selections) return [node]
    const inner = withoutStands(node.selections, isForeign)
    return inner.length > 0 ? [{ ...node, selections: inner }] : []
  })
}

function withoutSpreads(document: DocumentNode): DocumentNode {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const node of document.definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node)
  }
  const inline = (set: SelectionSetNode): SelectionSetNode => ({
    ...set,
    selections: set.selections.map((node): SelectionNode => {
      if (node.kind !== Kind.FRAGMENT_SPREAD) {
        return node.selectionSet ? { ...node, selectionSet: inline(node.selectionSet) } : node
      }
      const { typeCondition, selectionSet } = fragments.get(node.name.value) as FragmentDefinitionNode
      const { directives } = node
      return { kind: Kind.INLINE_FRAGMENT, typeCondition, directives, selectionSet: inline(selectionSet) }
    }),
  })
  const definitions = document.definitions
    .filter((node): node is OperationDefinitionNode => node.kind === Kind.OPERATION_DEFINITION)
    .map((node) => ({ ...node, selectionSet: inline(node.selectionSet) }))
  return { ...document, definitions }
}

function visitEntityFields(document: DocumentNode, seen: (type: string, field: string, node: SelectionNode) => void) {
  filterEntityFields(document, (node, type) => {
    seen(type, node.kind === Kind.FIELD ? node.name.value : '', node)
    return true
  })
}

/** Keeps some of the fields directly below `_entities`; fragments that are left empty go. */
function filterEntityFields(
  document: DocumentNode,
  isKept: (node: SelectionNode, type: string) => boolean,
): DocumentNode {
  const filter = (set: SelectionSetNode, type: string): SelectionSetNode => ({
    ...set,
    selections: set.selections.flatMap((node): SelectionNode[] => {
      if (node.kind !== Kind.INLINE_FRAGMENT) return isKept(node, type) ? [node] : []
      const selectionSet = filter(node.selectionSet, node.typeCondition?.name.value ?? type)
      return selectionSet.selections.length > 0 ? [{ ...node, selectionSet }] : []
    }),
  })
  const filtered = visit(document, {
    Field(node) {
      if (node.name.value !== '_entities' || !node.selectionSet) return undefined
      return { ...node, selectionSet: filter(node.selectionSet, '') }
    },
  })
  const names = variablesOf(filtered)
  return visit(filtered, {
    [Kind.VARIABLE_DEFINITION]: (node: VariableDefinitionNode) =>
      names.has(node.variable.name.value) ? undefined : null,
  })
}

function variablesOf(document: DocumentNode): Set<string> {
  const names = new Set<string>()
  visit(document, {
    [Kind.VARIABLE_DEFINITION]: () => false,
    Variable(node) {
      names.add(node.name.value)
    },
  })
  return names
}
