import fc from 'fast-check'
import {
  type GraphQLArgument,
  type GraphQLCompositeType,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isNonNullType,
  isObjectType,
} from 'graphql'

/** A whole number from 0 to below `count`; 0 should be the simplest choice. */
type Pick = (count: number) => number
export type AnyOperation = { query: string; variables: Record<string, unknown> }

/** Ids that exist in no world or in some. */
const IDS = ['b1', 'g1', 'm1', 'm2', 'u1', 'r1', 'nobody']

/** Operations made up over a schema, of so many fields at most. Leave those out that are not valid, by `fc.pre`. */
export function anyOperation(schema: GraphQLSchema, fields = 30): fc.Arbitrary<AnyOperation> {
  const hasMutations = Boolean(schema.getMutationType())
  return fc.gen().map((draw) => {
    const pick = (count: number) => draw(fc.nat, { max: count - 1 })
    const mutation = hasMutations && pick(4) === 3
    return makeOperation(schema, pick, { mutation, ids: pick(2) === 1, fields })
  })
}

/**
 * Makes up an operation over a schema: aliases, arguments, variables with and without defaults, @skip and @include,
 * fragments inline and named. Not every one is valid (two fragments may disagree): validate and leave those out.
 */
function makeOperation(
  schema: GraphQLSchema,
  pick: Pick,
  { mutation = false, ids = false, fields = 30 } = {},
): AnyOperation {
  return new OperationMaker(schema, pick, { ids, fields }).make(mutation)
}

class OperationMaker {
  private readonly definitions: string[] = []
  private readonly fragments: string[] = []
  private readonly variables: Record<string, unknown> = {}
  private aliases = 0
  private budget: number

  private readonly schema: GraphQLSchema
  private readonly pick: Pick
  private readonly withIds: boolean

  constructor(schema: GraphQLSchema, pick: Pick, { ids, fields }: { ids: boolean; fields: number }) {
    this.schema = schema
    this.pick = pick
    this.withIds = ids
    this.budget = fields
  }

  make(mutation: boolean): AnyOperation {
    const root = mutation ? this.schema.getMutationType() : this.schema.getQueryType()
    if (!root) throw new Error('the schema has no such root')
    const selection = this.selection(root, 0)
    const variables = this.definitions.length > 0 ? `(${this.definitions.join(', ')})` : ''
    const operation = `${mutation ? 'mutation' : 'query'} Made${variables} ${selection}`
    return { query: [operation, ...this.fragments].join('\n'), variables: this.variables }
  }

  private selection(type: GraphQLCompositeType, depth: number): string {
    const parts: string[] = []
    if (this.withIds && 'getFields' in type && type.getFields().id) parts.push('id')
    const wanted = 1 + this.pick(4)
    for (let i = 0; i < wanted; i += 1) parts.push(this.one(type, depth))
    return `{ ${parts.join(' ')} }`
  }

  private one(type: GraphQLCompositeType, depth: number): string {
    const fields = 'getFields' in type ? Object.values(type.getFields()) : []
    const leaves = fields.filter((field) => !isCompositeType(getNamedType(field.type)))
    const isSpent = depth >= 6 || this.budget <= 0
    this.budget -= 1
    const choice = this.pick(12)
    if (choice === 11 || (isSpent && leaves.length === 0) || fields.length + (isAbstractType(type) ? 1 : 0) === 0)
      return this.typename()
    if (!isSpent && (choice >= 9 || fields.length === 0)) return this.fragment(type, depth)
    const from = isSpent ? leaves : fields
    const field = from[this.pick(from.length)]
    if (!field) return '__typename'
    const args = this.args(field.args)
    const alias = args !== '' || this.pick(5) === 4 ? `${this.alias(field.type)}: ` : ''
    const inner = getNamedType(field.type)
    const selection = isCompositeType(inner) ? ` ${this.selection(inner, depth + 1)}` : ''
    return `${alias}${field.name}${args}${this.directives()}${selection}`
  }

  private typename(): string {
    return this.pick(4) === 3 ? `type${this.pick(2)}: __typename` : '__typename'
  }

  private fragment(type: GraphQLCompositeType, depth: number): string {
    const condition = this.condition(type)
    const selection = this.selection(condition ?? type, depth + 1)
    if (this.pick(3) < 2) return `...${condition ? ` on ${condition.name}` : ''}${this.directives()} ${selection}`
    const name = `F${this.fragments.length}`
    this.fragments.push('')
    this.fragments[Number(name.slice(1))] = `fragment ${name} on ${(condition ?? type).name} ${selection}`
    return `...${name}${this.directives()}`
  }

  /** Some type that values of `type` may have. */
  private condition(type: GraphQLCompositeType): GraphQLCompositeType | undefined {
    const mine = isObjectType(type) ? [type] : this.schema.getPossibleTypes(type)
    const overlapping = Object.values(this.schema.getTypeMap()).filter(
      (other: GraphQLNamedType): other is GraphQLCompositeType => {
        if (other.name.startsWith('__') || !isCompositeType(other)) return false
        const theirs = isObjectType(other) ? [other] : this.schema.getPossibleTypes(other)
        return theirs.some((one) => mine.includes(one))
      },
    )
    const chosen = this.pick(overlapping.length + 1)
    return chosen === 0 ? undefined : overlapping[chosen - 1]
  }

  private directives(): string {
    const choice = this.pick(10)
    if (choice < 7) return ''
    const name = choice === 7 ? 'skip' : 'include'
    return ` @${name}(if: ${this.pick(2) ? this.boolean() : this.pick(2) === 1})${choice === 9 ? ` @skip(if: ${this.boolean()})` : ''}`
  }

  private boolean(): string {
    const name = `if${this.pick(3)}`
    if (!this.definitions.some((text) => text.startsWith(`$${name}:`))) {
      const value = this.pick(2) === 0
      const isDefault = this.pick(3) === 2
      this.definitions.push(isDefault ? `$${name}: Boolean! = ${value}` : `$${name}: Boolean!`)
      if (!isDefault) this.variables[name] = value
    }
    return `$${name}`
  }

  private args(args: readonly GraphQLArgument[]): string {
    const given = args.flatMap((arg) => {
      const isRequired = isNonNullType(arg.type) && arg.defaultValue === undefined
      if (!isRequired && this.pick(2) === 0) return []
      const value = this.value(arg.type)
      if (this.pick(3) < 2) return [`${arg.name}: ${value.literal}`]
      const name = `v${this.definitions.length}`
      const isDefault = this.pick(4) === 3
      this.definitions.push(`$${name}: ${arg.type}${isDefault ? ` = ${value.literal}` : ''}`)
      if (!isDefault) this.variables[name] = value.plain
      return [`${arg.name}: $${name}`]
    })
    return given.length > 0 ? `(${given.join(', ')})` : ''
  }

  private value(type: GraphQLInputType): { literal: string; plain: unknown } {
    const named = getNamedType(type)
    if (isEnumType(named)) {
      const plain = named.getValues()[this.pick(named.getValues().length)]?.name
      return { literal: String(plain), plain }
    }
    const plain =
      named.name === 'Int'
        ? this.pick(6)
        : named.name === 'Boolean'
          ? this.pick(2) === 1
          : named.name === 'ID'
            ? IDS[this.pick(IDS.length)]
            : ['a "text"', '', 'ü\u2028\\'][this.pick(3)]
    return { literal: JSON.stringify(plain), plain }
  }

  /** Of one name and one type each, so that two fields meet under one alias only if they agree. */
  private alias(type: GraphQLOutputType): string {
    const odd = ['constructor', 'toString', 'valueOf', 'hasOwnProperty']
    this.aliases += 1
    const name = odd[this.pick(40)]
    return name && !isCompositeType(getNamedType(type)) ? `${name}` : `alias${this.aliases}`
  }
}
