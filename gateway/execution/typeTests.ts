import { type GraphQLSchema, isAbstractType } from 'graphql'

/** Whether an object with this `__typename` is of the type that the test is for. */
export type TypeTest = (typename: unknown) => boolean

/** Tests by the type's name, made once each. A type that does not exist has no members. */
export function makeTypeTests(schema: GraphQLSchema): (type: string) => TypeTest {
  const tests = new Map<string, TypeTest>()
  return (name) => {
    const known = tests.get(name)
    if (known) return known
    const members = new Set<unknown>([name])
    const type = schema.getType(name)
    if (isAbstractType(type)) {
      const { objects, interfaces } =
        'getFields' in type ? schema.getImplementations(type) : { objects: type.getTypes(), interfaces: [] }
      for (const member of [...objects, ...interfaces]) members.add(member.name)
    }
    const test: TypeTest = (typename) => members.has(typename)
    tests.set(name, test)
    return test
  }
}
