/**
 * What a user feels: our gateway and four tiers against the same graph of Apollo's and Prisma's parts, on the same data.
 *
 * Both stacks are five processes each over one PostgreSQL; stock is Apollo Server standalone, ApolloGateway, Prisma's row
 * level security extension and DataLoader, each by its documentation. What counts is the processor time of all of a
 * stack's processes for one request. Answers are compared before anything is measured. Ours also signs callers, counts
 * rates, and writes down who has read which mail. Linux only. After `--`: `--rounds N`, `--round-ms N`, `--in-flight N`,
 * `--warm-up-ms N`, `--only TEXT` (operations whose names have it).
 */
import { parseArgs } from 'node:util'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { fillTenant } from './stack/data.ts'
import { makeOperations } from './stack/operations.ts'
import { startOurs } from './stack/ours.ts'
import { compareAnswers, makeContender, measure, type Round, warmUp } from './stack/rounds.ts'
import { startStock } from './stack/stock.ts'
import { machineLine } from './support/machine.ts'
import { runBench, showProgress } from './support/run.ts'
import { median } from './support/statistics.ts'
import { formatTable } from './support/table.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    'round-ms': { type: 'string', default: '1500' },
    'in-flight': { type: 'string', default: '8' },
    'warm-up-ms': { type: 'string', default: '30000' },
    only: { type: 'string', default: '' },
  },
})
const [rounds, roundMs, inFlight] = [Number(values.rounds), Number(values['round-ms']), Number(values['in-flight'])]

await runBench(async (atEnd) => {
  const ours = await startOurs(atEnd)
  const chosen = await fillTenant(ours, showProgress)
  const databases = Object.fromEntries(TIERS.map((tier) => [tier, ours.databaseUrl(tier)])) as Record<Tier, string>
  const { contentMasterKey, jwksFile, token, postgresPid } = ours
  const stock = await startStock({ databases, contentMasterKey, jwksFile }, atEnd)
  showProgress('')
  const contenders = [stock, ours].map((stack) => makeContender(stack, { token, inFlight }))
  for (const { close } of contenders) atEnd(close)
  console.log(`${machineLine()}; ${inFlight} in flight, medians of ${rounds} alternating rounds of ${roundMs} ms`)
  const operations = makeOperations(chosen).filter(({ name }) => name.includes(values.only))
  for (const contender of contenders) await warmUp(contender, operations, Number(values['warm-up-ms']), inFlight)
  for (const operation of operations) {
    const characters = await compareAnswers(contenders, operation)
    const results = await measure(contenders, operation, { rounds, roundMs, inFlight, postgresPid })
    console.log(`\n${operation.name}, ${(characters / 1000).toFixed(1)} KB\n`)
    console.log(
      describe(
        contenders.map(({ name }) => name),
        results,
      ),
    )
  }
})

function describe(names: readonly string[], [stock = [], ours = []]: Round[][]): string {
  const row = (name: string, measured: readonly Round[]) => [
    name,
    ...(['node', 'gateway', 'tiers', 'postgres'] as const).map((part) =>
      median(measured.map((r) => r[part])).toFixed(2),
    ),
    median(measured.map((round) => round.perSecond)).toFixed(0),
    median(measured.map((round) => round.p50)).toFixed(1),
  ]
  /** Within each round: what else the machine does distorts that least. */
  const times = (part: keyof Round) => median(stock.map((round, i) => round[part] / (ours[i]?.[part] ?? Number.NaN)))
  const ratios = (['node', 'gateway', 'tiers', 'postgres'] as const).map((part) => `${times(part).toFixed(1)}×`)
  const speed = `${(1 / times('perSecond')).toFixed(1)}×`
  return formatTable(
    ['', 'Node CPU ms/request', 'gateway', 'tiers', 'PostgreSQL CPU ms', 'requests/s', 'p50 ms'],
    [
      row(names[0] ?? '', stock),
      row(names[1] ?? '', ours),
      ['ours is better by', ...ratios, speed, `${times('p50').toFixed(1)}×`],
    ],
  )
}
