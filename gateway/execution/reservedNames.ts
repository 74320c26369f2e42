import {
  type ASTVisitor,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type NameNode,
  type ValidationContext,
  type ValidationRule,
  type VariableDefinitionNode,
} from 'graphql'

/**
 * The rule that names a client makes up (aliases, variables, fragments) never begin with `__`: GraphQL reserves those, and
 * `__proto__` as a key is a trap for whatever handles the answer. Nor are they any of `others`.
 */
export function reserveNames(others: ReadonlySet<string>): ValidationRule {
  return (context) => visitorOf(context, others)
}

function visitorOf(context: ValidationContext, others: ReadonlySet<string>): ASTVisitor {
  const check = (name: NameNode | undefined) => {
    if (!name || !(name.value.startsWith('__') || others.has(name.value))) return
    const message = `The name "${name.value}" is reserved.`
    context.reportError(new GraphQLError(message, { nodes: name }))
  }
  const checkAlias = (node: FieldNode) => check(node.alias)
  const checkVariable = (node: VariableDefinitionNode) => check(node.variable.name)
  const checkFragment = (node: FragmentDefinitionNode) => check(node.name)
  return {
    [Kind.FIELD]: checkAlias,
    [Kind.VARIABLE_DEFINITION]: checkVariable,
    [Kind.FRAGMENT_DEFINITION]: checkFragment,
  }
}
