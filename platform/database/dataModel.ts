/** A column: its name in the database, and its type in Prisma's schema (`DateTime`), that of one item if it is a list. */
export type ColumnFacts = { column: string; type: string }

/** What the tenant client has to know of a Prisma model. */
export type ModelFacts = {
  name: string
  /** Has a `tenantId`: tenant scope. Others are platform or membership tables, or the tenant itself. */
  isTenantScoped: boolean
  /** Its name in the database. */
  table: string
  /** Columns by name; a key of a unique `where` that is neither column nor relation is a composite key. */
  columns: ReadonlyMap<string, ColumnFacts>
  /** The models that its relations lead to, by the relation's name. */
  relations: ReadonlyMap<string, ModelFacts>
}

type Field = { name: string; kind: string; type: string; dbName?: string }
type RuntimeDataModel = { models: Record<string, { fields: readonly Field[]; dbName: string | null }> }

/** The facts of every model of a Prisma client, by the name of its delegate (`outboxEvent` for OutboxEvent). */
export function readModels(prisma: object): ReadonlyMap<string, ModelFacts> {
  // Prisma 7 exports no DMMF; the client keeps this for its own query builder, and its version is pinned.
  const dataModel = (prisma as { _runtimeDataModel?: RuntimeDataModel })._runtimeDataModel
  if (!dataModel) throw new Error('this Prisma client does not tell its data model')
  const models = new Map<string, ModelFacts & { relations: Map<string, ModelFacts> }>()
  for (const [name, { fields, dbName }] of Object.entries(dataModel.models)) {
    const columns = new Map(
      fields
        .filter(({ kind }) => kind !== 'object')
        .map(({ name: field, dbName: column = field, type }) => [field, { column, type }] as const),
    )
    const isTenantScoped = columns.has('tenantId')
    models.set(delegateName(name), { name, table: dbName ?? name, isTenantScoped, columns, relations: new Map() })
  }
  for (const [name, { fields }] of Object.entries(dataModel.models)) {
    for (const { name: relation, kind, type } of fields) {
      const target = kind === 'object' ? models.get(delegateName(type)) : undefined
      if (target) models.get(delegateName(name))?.relations.set(relation, target)
    }
  }
  return models
}

function delegateName(model: string): string {
  return model.charAt(0).toLowerCase() + model.slice(1)
}
