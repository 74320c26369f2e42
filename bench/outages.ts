/**
 * Each tier killed under load: what asks nothing of it stays as fast, what asks it too is answered by half.
 *
 * Our gateway, four tiers and PostgreSQL, each a process. Of each tier in turn: a while with all of them up, then the tier
 * is ended by SIGKILL while requests go on, and a while without it; then it is started again. Every answer is checked.
 * After `--`: `--rounds N`, `--ms N` (of each while), `--per-second N` (requests of either kind),
 * `--tiers NAME,…`.
 */
import { parseArgs } from 'node:util'
import { TIERS, type Tier } from '#platform/contracts/tiers.ts'
import { type Asked, makeOutages, type Outage } from './outages/operations.ts'
import { fillTenant } from './stack/data.ts'
import { type OurStack, startOurs } from './stack/ours.ts'
import { type GraphqlClient, openGraphqlClient } from './support/graphqlClient.ts'
import { machineLine } from './support/machine.ts'
import { runBench, showProgress } from './support/run.ts'
import { percentile } from './support/statistics.ts'
import { sendSteadily } from './support/steadyLoad.ts'
import { formatTable } from './support/table.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    ms: { type: 'string', default: '6000' },
    'per-second': { type: 'string', default: '60' },
    tiers: { type: 'string', default: TIERS.join(',') },
  },
})
const tiers = TIERS.filter((tier) => values.tiers.split(',').includes(tier))
const [rounds, ms, perSecond] = [Number(values.rounds), Number(values.ms), Number(values['per-second'])]

await runBench(async (atEnd) => {
  const ours = await startOurs(atEnd)
  const outages = makeOutages(await fillTenant(ours, showProgress))
  showProgress('')
  const client = openGraphqlClient(ours.url, { token: ours.token, connections: 64 })
  atEnd(client.close)
  const ask = makeAsk(client)
  for (const tier of tiers) await measureWhile(outages[tier], ask, { state: 'up', tier })
  console.log(
    `${machineLine()}; ${perSecond} requests/s of either kind, ${rounds} times ${ms} ms with and without each tier`,
  )
  const rows: string[][] = []
  for (const tier of tiers) rows.push(await measureOutage(tier, outages[tier], ours, ask))
  console.log(
    `\n${formatTable(['killed', 'p50 ms before', 'p50 ms without it', 'p99 ms before', 'p99 ms without it', '×'], rows)}`,
  )
})

type Ask = (asked: Asked, n: number) => Promise<Answer>
type Answer = {
  data: Record<string, unknown> | null
  errors?: { message: string; extensions: { code: string; tier?: string } }[]
}

async function measureOutage(tier: Tier, outage: Outage, ours: OurStack, ask: Ask): Promise<string[]> {
  const before: number[] = []
  const without: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    before.push(...(await measureWhile(outage, ask, { tier, state: 'up' })))
    const killed = ours.kill(tier)
    without.push(...(await measureWhile(outage, ask, { tier, state: 'dead' })))
    await killed
    await ours.revive(tier)
    // What it needs to be noticed, and to be as warm as before, is not what is measured.
    await measureWhile(outage, ask, { tier, state: 'coming back' })
  }
  const figures = [0.5, 0.99].flatMap((share) => [before, without].map((all) => percentile(all, share)))
  const [, , p99Before = 0, p99Without = 0] = figures
  return [tier, ...figures.map((value) => value.toFixed(1)), (p99Without / p99Before).toFixed(2)]
}

type State = 'up' | 'dead' | 'coming back'

/** Latencies of the requests that ask nothing of the tier. @throws Error for the first answer that is not as it should be */
async function measureWhile(
  outage: Outage,
  ask: Ask,
  { tier, state }: { tier: Tier; state: State },
): Promise<number[]> {
  const askUnaffected = async (n: number, dueAt: number) => {
    const { data, errors } = await ask(outage.unaffected, n)
    if (errors || !data) throw new Error(`${tier} ${state}: what does not need it fails: ${JSON.stringify(errors)}`)
    return performance.now() - dueAt
  }
  let isGone = false
  const askHalf = async (n: number) => {
    const { data, errors } = await ask(outage.half, n)
    const { answered } = outage.half
    const isHalf = errors?.every(({ extensions }) => extensions.code === 'UNAVAILABLE' && extensions.tier === tier)
    isGone ||= Boolean(errors)
    if (!data?.[answered] || (errors && (state === 'up' || !isHalf))) {
      throw new Error(`${tier} ${state}: ${JSON.stringify({ data, errors }).slice(0, 500)}`)
    }
  }
  const load = { count: Math.round((perSecond * ms) / 1_000), perSecond }
  const [latencies] = await Promise.all([sendSteadily(load, askUnaffected), sendSteadily(load, askHalf)])
  if (state === 'dead' && !isGone) throw new Error(`nobody noticed that ${tier} was dead`)
  return latencies
}

function makeAsk({ post }: GraphqlClient): Ask {
  return async ({ query, variables }, n) => JSON.parse((await post(query, variables?.(n))).text)
}
