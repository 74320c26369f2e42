import {
  type ArgumentNode,
  type ConstDirectiveNode,
  type DirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type InterfaceTypeDefinitionNode,
  Kind,
  type ObjectTypeDefinitionNode,
  type OperationDefinitionNode,
  parse,
  print,
  type SelectionNode,
  type SelectionSetNode,
  type TypeNode,
  visit,
} from 'graphql'

/** A field that stands for another one with certain arguments: `weight_required_1` for `weight(unit: LB)`. */
export type Stand = { name: string; parent: string; field: string; arguments: readonly ArgumentNode[] }

export type StandIns = {
  /** The supergraph with the fields that stand for others; the same as was given if there are none. */
  sdl: string
  byName: ReadonlyMap<string, Stand>
  /** The stands that a field of a subgraph requires, by `Type.field`. */
  requiredBy: ReadonlyMap<string, ReadonlySet<string>>
}

type Definition = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode

/**
 * Gives every field with arguments that some @requires asks a field of its own to be planned with. The planner takes
 * `weight` and `weight(unit: LB)` for the same and would fetch one of them in place of both.
 */
export function addStandIns(sdl: string): StandIns {
  const byName = new Map<string, Stand>()
  const requiredBy = new Map<string, Set<string>>()
  // Most supergraphs have none, and need not be read twice.
  if (!sdl.includes('requires: "')) return { sdl, byName, requiredBy }
  const document = parse(sdl)
  const types = new Map<string, Definition>()
  for (const node of document.definitions) {
    if (node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.INTERFACE_TYPE_DEFINITION) {
      types.set(node.name.value, node)
    }
  }
  const additions = new Map<string, Map<string, FieldDefinitionNode>>()

  const standFor = (parent: string, definition: FieldDefinitionNode, args: readonly ArgumentNode[], graph: string) => {
    const field = definition.name.value
    const text = args.map((arg) => print(arg)).join()
    const known = [...byName.values()].find(
      (stand) =>
        stand.parent === parent && stand.field === field && stand.arguments.map((arg) => print(arg)).join() === text,
    )
    const name = known?.name ?? `${field}_required_${byName.size + 1}`
    byName.set(name, { name, parent, field, arguments: args })
    for (const owner of [parent, ...implementers(types, parent)]) {
      const own = types.get(owner)?.fields?.find((one) => one.name.value === field)
      const fields = additions.get(owner) ?? new Map<string, FieldDefinitionNode>()
      additions.set(owner, fields)
      if (own) fields.set(name, standField(fields.get(name) ?? own, name, graph))
    }
    return name
  }

  const rewrite = (set: SelectionSetNode, parent: string, graph: string, used: Set<string>): SelectionSetNode => ({
    ...set,
    selections: set.selections.map((selection): SelectionNode => {
      if (selection.kind === Kind.FRAGMENT_SPREAD) return selection
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        const condition = selection.typeCondition?.name.value ?? parent
        return { ...selection, selectionSet: rewrite(selection.selectionSet, condition, graph, used) }
      }
      const definition = types.get(parent)?.fields?.find((one) => one.name.value === selection.name.value)
      if (!definition) return selection
      const selectionSet =
        selection.selectionSet && rewrite(selection.selectionSet, nameOf(definition.type), graph, used)
      if (!definition.arguments?.length) return { ...selection, selectionSet }
      const name = standFor(parent, definition, selection.arguments ?? [], graph)
      used.add(name)
      return { ...selection, name: { kind: Kind.NAME, value: name }, arguments: [], selectionSet }
    }),
  })

  const rewritten = visit(document, {
    Directive(node, _key, _parent, _path, ancestors) {
      const requires = argumentOf(node, 'requires')
      const graph = argumentOf(node, 'graph')
      if (node.name.value !== 'join__field' || !requires || !graph) return undefined
      const [type, field] = ownersOf(ancestors)
      const used = new Set<string>()
      const text = print(rewrite(selectionOf(requires), type, graph, used))
        .trim()
        .slice(1, -1)
        .replace(/\s+/g, ' ')
      requiredBy.set(`${type}.${field}`, used)
      return withArgument(node, 'requires', text.trim())
    },
  })
  return { sdl: print(withFields(rewritten, additions)), byName, requiredBy }
}

function standField(field: FieldDefinitionNode, name: string, graph: string): FieldDefinitionNode {
  const resolvers = (field.directives ?? []).filter(
    (node) => node.name.value === 'join__field' && !node.arguments?.some((arg) => arg.name.value === 'external'),
  )
  const externals = (field.directives ?? []).filter(
    (node) => field.name.value === name && node.arguments?.some((arg) => arg.name.value === 'external'),
  )
  const isThere = externals.some((node) => argumentOf(node, 'graph') === graph)
  return {
    ...field,
    name: { kind: Kind.NAME, value: name },
    arguments: [],
    directives: [...resolvers, ...externals, ...(isThere ? [] : [externalIn(graph)])],
  }
}

function externalIn(graph: string): ConstDirectiveNode {
  const operation = parse(`{ a @join__field(graph: ${graph}, external: true) }`)
    .definitions[0] as OperationDefinitionNode
  return operation.selectionSet.selections[0]?.directives?.[0] as ConstDirectiveNode
}

function implementers(types: ReadonlyMap<string, Definition>, name: string): string[] {
  return [...types.values()]
    .filter((type) => type.interfaces?.some((one) => one.name.value === name))
    .map((type) => type.name.value)
}

function withFields(document: DocumentNode, additions: ReadonlyMap<string, ReadonlyMap<string, FieldDefinitionNode>>) {
  const add = <Node extends Definition>(node: Node): Node | undefined => {
    const fields = additions.get(node.name.value)
    return fields && { ...node, fields: [...(node.fields ?? []), ...fields.values()] }
  }
  return visit(document, { ObjectTypeDefinition: add, InterfaceTypeDefinition: add })
}

function ownersOf(ancestors: readonly unknown[]): [string, string] {
  const named = ancestors.filter(
    (node): node is Definition | FieldDefinitionNode =>
      typeof node === 'object' && node !== null && 'kind' in node && 'name' in node,
  )
  const [field, type] = [named.at(-1), named.at(-2)]
  return [type?.name.value ?? '', field?.name.value ?? '']
}

function selectionOf(text: string): SelectionSetNode {
  return (parse(`{ ${text} }`).definitions[0] as OperationDefinitionNode).selectionSet
}

function argumentOf(node: DirectiveNode, name: string): string | undefined {
  const value = node.arguments?.find((arg) => arg.name.value === name)?.value
  return value && 'value' in value ? String(value.value) : undefined
}

function withArgument(node: DirectiveNode, name: string, text: string): DirectiveNode {
  const args = node.arguments?.map((arg) =>
    arg.name.value === name ? { ...arg, value: { kind: Kind.STRING, value: text } as const } : arg,
  )
  return { ...node, arguments: args }
}

function nameOf(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : nameOf(type.type)
}
