import { type DocumentNode, Kind, visit } from 'graphql'

/** A document whose aliases stand in nobody's way, and what has become of those that did: alias → name in the data. */
export type PlainAliases = { document: DocumentNode; renamed: ReadonlyMap<string, string> }

/**
 * Renames aliases that are names of fields (`id: name`). The planner fetches keys and required fields under their own
 * names, and would take what the client put there for an entity's id.
 */
export function hideAliases(document: DocumentNode, fieldNames: ReadonlySet<string>): PlainAliases {
  const taken = new Set<string>()
  const hidden = new Set<string>()
  visit(document, {
    Field({ alias, name }) {
      taken.add(alias?.value ?? name.value)
      if (alias && alias.value !== name.value && fieldNames.has(alias.value)) hidden.add(alias.value)
    },
  })
  const renamed = new Map<string, string>()
  for (const alias of hidden) {
    let name = `${alias}_alias`
    while (taken.has(name) || fieldNames.has(name)) name += '_'
    taken.add(name)
    renamed.set(alias, name)
  }
  if (renamed.size === 0) return { document, renamed }
  const plain = visit(document, {
    Field(node) {
      const name = node.alias && node.alias.value !== node.name.value ? renamed.get(node.alias.value) : undefined
      return name ? { ...node, alias: { kind: Kind.NAME, value: name } as const } : undefined
    },
  })
  return { document: plain, renamed }
}

/** Paths of errors, with the client's own aliases in them again. */
export function makePathReader(renamed: ReadonlyMap<string, string>) {
  const original = new Map<unknown, string>([...renamed].map(([alias, name]) => [name, alias]))
  return (path: (string | number)[]) => path.map((part) => original.get(part) ?? part)
}
