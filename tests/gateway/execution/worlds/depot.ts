import { makeWorld, type Row } from './world.ts'

const parcels: Row[] = [
  { __typename: 'Parcel', id: 'p1', kilos: 10, cents: 1000, box: { side: 3, label: 'A' } },
  { __typename: 'Parcel', id: 'p2', kilos: 0, cents: 0, box: null },
  { __typename: 'Parcel', id: 'p3', kilos: 2.5, cents: 199, box: { side: 0, label: '' } },
]
const parcelBy = ({ id }: Row) => parcels.find((row) => row.id === id)
const weight = (row: Row, { unit }: Row) => (unit === 'LB' ? row.kilos * 2 : row.kilos)
const price = (row: Row, { currency, tax = 0 }: Row) => row.cents * (currency === 'USD' ? 3 : 2) + tax
const side = (row: Row, { unit }: Row) => (unit === 'MM' ? row.side * 1000 : row.side)

const goods = {
  typeDefs: `
    type Query { parcel(id: ID!): Parcel parcels: [Parcel!] }
    enum Unit { KG LB }
    enum Length { M MM }
    type Box { side(unit: Length): Float! label: String }
    type Parcel @key(fields: "id") { id: ID! weight(unit: Unit): Float price(currency: String, tax: Int): Int! box: Box }`,
  resolvers: {
    Query: { parcel: (_: unknown, key: Row) => parcelBy(key) ?? null, parcels: () => parcels },
    Box: { side },
    Parcel: { __resolveReference: parcelBy, weight, price },
  },
}

const carriage = {
  typeDefs: `
    enum Unit { KG LB }
    enum Length { M MM }
    type Box { side(unit: Length): Float! @external }
    type Parcel @key(fields: "id") {
      id: ID! weight(unit: Unit): Float @external price(currency: String, tax: Int): Int! @external box: Box @external
      freight: Float @requires(fields: "weight(unit: LB) price(currency: \\"EUR\\")")
      duty(rate: Int = 1): Int @requires(fields: "price(currency: \\"USD\\", tax: 7)")
      plain: Float @requires(fields: "weight")
      fits: Boolean @requires(fields: "box { side(unit: MM) }")
      sizes: [Float] @requires(fields: "box { side } weight(unit: KG)")
      van: String
    }`,
  resolvers: {
    Parcel: {
      __resolveReference: (key: Row) => ({ ...parcelBy(key), given: key }),
      freight: ({ given }: Row) => given.weight + given.price,
      duty: ({ given }: Row, { rate }: Row) => given.price * rate,
      plain: ({ given }: Row) => given.weight,
      fits: ({ given }: Row) => (given.box ? given.box.side < 2000 : null),
      sizes: ({ given }: Row) => [given.box?.side ?? null, given.weight],
      van: ({ id }: Row) => `van of ${id}`,
    },
  },
}

/** Arguments under @requires, also of one field twice, and below an object: where the stock planner fetches one for all. */
export const depot = makeWorld(
  'depot',
  { goods, carriage },
  {
    Parcel: {
      freight: (row: Row) => weight(row, { unit: 'LB' }) + price(row, { currency: 'EUR' }),
      duty: (row: Row, { rate }: Row) => price(row, { currency: 'USD', tax: 7 }) * rate,
      plain: (row: Row) => weight(row, {}),
      fits: (row: Row) => (row.box ? side(row.box, { unit: 'MM' }) < 2000 : null),
      sizes: (row: Row) => [row.box?.side ?? null, row.kilos],
    },
  },
)
