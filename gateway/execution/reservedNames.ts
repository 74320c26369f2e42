import { type ASTVisitor, GraphQLError, type NameNode, type ValidationContext } from 'graphql'

/**
 * The rule that names a client makes up (aliases, variables, fragments) never begin with `__`: GraphQL reserves those, and
 * `__proto__` as a key is a trap for whatever handles the answer.
 */
export function reservedNames(context: ValidationContext): ASTVisitor {
  const check = (name: NameNode | undefined) => {
    if (!name?.value.startsWith('__')) return
    const message = `The name "${name.value}" is reserved: names of your own must not begin with two underscores.`
    context.reportError(new GraphQLError(message, { nodes: name }))
  }
  return {
    Field: (node) => check(node.alias),
    VariableDefinition: (node) => check(node.variable.name),
    FragmentDefinition: (node) => check(node.name),
  }
}
