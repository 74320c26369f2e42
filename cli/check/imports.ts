import { parseSync } from '@swc/core'

/** One import of a source file: what it names, and whether only types come of it. */
export type Import = { specifier: string; typeOnly: boolean }

/**
 * Everything a TypeScript source imports, by statement, re-export, `import()`, `require()` or type. A dynamic import of
 * something computed is named `<computed>`: what cannot be read cannot be allowed.
 */
export function readImports(source: string): Import[] {
  const imports: Import[] = []
  visitNode(parseSync(source, { syntax: 'typescript', target: 'es2022' }), (node) => {
    const found = importOf(node)
    if (found) imports.push(found)
  })
  return imports
}

type AstNode = { type: string } & Record<string, unknown>

function importOf(node: AstNode): Import | null {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration': {
      const specifier = literal(node.source)
      return specifier === null ? null : { specifier, typeOnly: node.typeOnly === true || onlyTypesNamed(node) }
    }
    case 'TsImportType':
      return { specifier: literal(node.argument) ?? '<computed>', typeOnly: true }
    case 'TsExternalModuleReference':
      return { specifier: literal(node.expression) ?? '<computed>', typeOnly: false }
    case 'CallExpression':
      return isImportCall(node.callee) ? { specifier: firstArgument(node) ?? '<computed>', typeOnly: false } : null
    default:
      return null
  }
}

/** `import { type A, type B }`: nothing is left of it at run time but the import itself. */
function onlyTypesNamed(node: AstNode): boolean {
  const specifiers = node.specifiers as { isTypeOnly?: boolean }[] | undefined
  return specifiers !== undefined && specifiers.length > 0 && specifiers.every(({ isTypeOnly }) => isTypeOnly === true)
}

function isImportCall(callee: unknown): boolean {
  const { type, value } = callee as AstNode
  return type === 'Import' || (type === 'Identifier' && value === 'require')
}

function firstArgument(call: AstNode): string | null {
  const [first] = call.arguments as { expression: unknown }[]
  return first ? literal(first.expression) : null
}

function literal(node: unknown): string | null {
  const value = (node as AstNode | null)?.type === 'StringLiteral' ? (node as AstNode).value : null
  return typeof value === 'string' ? value : null
}

function visitNode(value: unknown, onNode: (node: AstNode) => void) {
  if (Array.isArray(value)) {
    for (const item of value) visitNode(item, onNode)
    return
  }
  if (typeof value !== 'object' || value === null) return
  if ('type' in value && typeof value.type === 'string') onNode(value as AstNode)
  for (const child of Object.values(value)) visitNode(child, onNode)
}
