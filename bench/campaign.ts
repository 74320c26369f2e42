/**
 * How fast a campaign's mails are planned, and how fast they leave and are counted.
 *
 * The whole platform in processes of its own, mails going to a server that takes everything, in another. `plan`: due leads
 * rendered, stored and queued, at the usual pace of the clock, so that next to nothing leaves meanwhile. `send`: a clock by
 * which mails are due within seconds, from launch until the last mail was taken and then until analytics has counted it.
 * After `--`: `--leads 5000`, `--mailboxes 1000`, `--parts plan,send`.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { foundCampaign } from './campaign/tenant.ts'
import { type BenchPlatform, startPlatform } from './leadFiles/platform.ts'
import { machineLine } from './support/machine.ts'
import { type AtEnd, runBench } from './support/run.ts'

const LAUNCH = 'mutation ($id: ID!) { launchCampaign(input: { id: $id }) { campaign { status } } }'
const PROGRESS = `query ($id: ID!) { campaign(id: $id) {
  status sendProgress { queued sending sent failed } analytics { sent } } }`

const WATCHED = ['oltp', 'content', 'queue', 'worker', 'analytics', 'postgres'] as const

const DAY_MS = 86_400_000
/** A day in four minutes. */
const SPEED = 360
/** After so many planned mails there is a line about them. */
const SLICE = 10_000
/** Looks at how far a campaign is, for which its mails are counted, take no more than one part in so many of the time. */
const LOOKING_SHARE = 30
/** But for the end not to be seen late, the next look is never further away than this. */
const LONGEST_WAIT_MS = 3_000
/** About what the platform takes to start. */
const START_MS = 30_000

const { values } = parseArgs({
  options: {
    leads: { type: 'string', default: '5000' },
    mailboxes: { type: 'string', default: '1000' },
    parts: { type: 'string', default: 'plan,send' },
  },
})
const leads = Number(values.leads)
const mailboxes = Number(values.mailboxes)
if (!Number.isSafeInteger(leads) || leads < 1 || leads > 200_000) {
  console.error('--leads takes 1 to 200000')
  process.exit(1)
}
if (!Number.isSafeInteger(mailboxes) || mailboxes < 1 || mailboxes > 50_000) {
  console.error('--mailboxes takes 1 to 50000')
  process.exit(1)
}

type Progress = {
  campaign: {
    status: string
    sendProgress: { queued: number; sending: number; sent: number; failed: number } | null
    analytics: { sent: number } | null
  }
}

console.log(machineLine())
const parts = values.parts.split(',')
await runBench(async (atEnd) => {
  if (parts.includes('plan')) await withPlatform(atEnd, {}, measurePlanning)
  if (parts.includes('send')) await withPlatform(atEnd, hurryingClock(), measureSending)
})

/**
 * A clock by which all mails are due within seconds (a mailbox sends every quarter of an hour), early on a day, so that
 * none of them is too late for its day while we measure.
 */
function hurryingClock(): Record<string, string> {
  const startsAt = Date.now() + START_MS
  const morning = Math.ceil(startsAt / DAY_MS + 10) * DAY_MS + DAY_MS / 24
  const origin = (startsAt * SPEED - morning) / (SPEED - 1)
  return { CLOCK_SPEED: String(SPEED), CLOCK_ORIGIN_AT: new Date(origin).toISOString() }
}

/** Measures on a platform of its own, which ends with that, or with the bench. */
async function withPlatform(
  atEnd: AtEnd,
  settings: Record<string, string>,
  measure: (platform: BenchPlatform, campaignId: string, taken: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const receiver = fork(new URL('./campaign/receiver.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
  const [{ port }] = (await once(receiver, 'message')) as [{ port: number }]
  const taken = async () => {
    receiver.send('count')
    return ((await once(receiver, 'message')) as [{ taken: number }])[0].taken
  }
  const platform = await startPlatform(settings)
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= platform.stop().then(() => receiver.disconnect())
    return stopping
  }
  atEnd(stop)
  await measure(platform, await foundCampaign(platform.oltp, { leads, mailboxes, smtpPort: port }), taken)
  await stop()
}

async function measurePlanning(platform: BenchPlatform, campaignId: string): Promise<void> {
  await platform.ask(LAUNCH, { id: campaignId })
  const began = { at: performance.now(), mails: 0, usage: usage(platform) }
  let last = began
  await until(platform, campaignId, ({ sendProgress }) => {
    const { queued = 0, sending = 0, sent = 0 } = sendProgress ?? {}
    const mails = queued + sending + sent
    if (leads > SLICE && (mails - last.mails >= SLICE || mails >= leads)) last = reportSlice(last, mails, platform)
    return mails >= leads
  })
  report('planned', began.at, began.usage, platform)
}

/** What the mails since the last slice took each: whether that stays the same, however many there are already. */
function reportSlice(last: { at: number; mails: number; usage: number[] }, mails: number, platform: BenchPlatform) {
  const slice = { at: performance.now(), mails, usage: usage(platform) }
  const planned = mails - last.mails
  const rate = planned / ((slice.at - last.at) / 1_000)
  const cost = slice.usage.map((seconds, index) => {
    return `${WATCHED[index]} ${(((seconds - (last.usage[index] ?? 0)) * 1_000) / planned).toFixed(2)}`
  })
  const memory = platform.usageOf('oltp').memory.toFixed(0)
  console.log(
    `  up to ${mails}: ${rate.toFixed(0)}/s; milliseconds of processor a mail: ${cost.join(', ')}; oltp ${memory} MB`,
  )
  return slice
}

async function measureSending(
  platform: BenchPlatform,
  campaignId: string,
  taken: () => Promise<number>,
): Promise<void> {
  await platform.ask(LAUNCH, { id: campaignId })
  const beganAt = performance.now()
  const before = usage(platform)
  while ((await taken()) < leads) await delay(100)
  report('planned and sent', beganAt, before, platform)
  await until(platform, campaignId, ({ status, analytics }) => status === 'COMPLETED' && analytics?.sent === leads)
  report('until completed and counted', beganAt, before, platform)
  const total = await taken()
  if (total !== leads) throw new Error(`${total} mails were taken of ${leads}`)
}

async function until(
  platform: BenchPlatform,
  id: string,
  isDone: (campaign: Progress['campaign']) => boolean,
): Promise<void> {
  for (;;) {
    const askedAt = performance.now()
    const { campaign } = await platform.ask<Progress>(PROGRESS, { id })
    if (isDone(campaign)) return
    await delay(Math.min(LONGEST_WAIT_MS, LOOKING_SHARE * (performance.now() - askedAt)))
  }
}

function usage(platform: BenchPlatform): number[] {
  return WATCHED.map((name) => platform.usageOf(name).seconds)
}

function report(what: string, beganAt: number, before: readonly number[], platform: BenchPlatform): void {
  const seconds = (performance.now() - beganAt) / 1_000
  const cpu = usage(platform).map((now, index) => `${WATCHED[index]} ${(now - (before[index] ?? 0)).toFixed(1)} s`)
  const memory = WATCHED.map((name) => `${name} ${platform.usageOf(name).memory.toFixed(0)} MB`)
  console.log(`${what}: ${leads} mails in ${seconds.toFixed(1)} s, ${(leads / seconds).toFixed(0)}/s`)
  console.log(`  processor time: ${cpu.join(', ')}; memory: ${memory.join(', ')}`)
}
