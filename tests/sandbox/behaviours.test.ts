import { describe, expect, test } from '@jest/globals'
import { parseConfig } from '#platform/config.ts'
import { decideReception, planMail, REACTIONS, type ReactionKind } from '../../cli/sandbox/behaviours.ts'
import { sandboxConfig } from '../../cli/sandbox/config.ts'
import { DEFAULT_RATES, type Rates } from '../../cli/sandbox/rates.ts'

const COUNT = 10_000
const recipients = Array.from({ length: COUNT }, (_, n) => `person.${n}@company-${n % 97}.example`)
const plansOf = (seed: string, rates: Rates = DEFAULT_RATES, key = '1') =>
  recipients.map((recipient) => planMail(seed, { recipient, key }, rates))

/** Within four standard deviations of what so many throws of that share give. */
function expectShare(found: number, share: number, of = COUNT): void {
  expect(Math.abs(found - share * of)).toBeLessThan(4 * Math.sqrt(of * share * (1 - share)) + 1)
}

test('the same seed plans the same, in any order; another seed or another mail something else', () => {
  const plans = plansOf('a')
  const backwards = [...recipients].reverse().map((recipient) => planMail('a', { recipient, key: '1' }, DEFAULT_RATES))
  expect(backwards.reverse()).toEqual(plans)
  const differing = (others: typeof plans) =>
    others.filter((plan, n) => JSON.stringify(plan) !== JSON.stringify(plans[n])).length
  expect(differing(plansOf('b'))).toBeGreaterThan(COUNT / 2)
  expect(differing(plansOf('a', DEFAULT_RATES, '2'))).toBeGreaterThan(COUNT / 2)
})

test('a mail planned twice at different rates of something else keeps what it does otherwise', () => {
  const replies = (rates: Rates) =>
    recipients.filter((recipient) =>
      planMail('a', { recipient, key: '1' }, rates).reactions.some(({ kind }) => kind === 'autoReply'),
    )
  expect(replies({ ...DEFAULT_RATES, scanner: 0.2, click: 0.9 })).toEqual(replies(DEFAULT_RATES))
})

describe('of 10,000 recipients', () => {
  const plans = plansOf('shares')
  const delivered = plans.filter(({ fate }) => fate === 'delivered')
  const having = (kind: ReactionKind) =>
    delivered.filter(({ reactions }) => reactions.some((reaction) => reaction.kind === kind))
  const rates = DEFAULT_RATES

  test('as many are refused and greylisted as should be, and each always', () => {
    const receptions = recipients.map((recipient) => decideReception('shares', recipient, rates))
    expectShare(receptions.filter((reception) => reception === 'refuse').length, rates.refuse)
    expectShare(receptions.filter((reception) => reception === 'greylist').length, rates.greylist)
    expect(recipients.map((recipient) => decideReception('shares', recipient, rates))).toEqual(receptions)
  })

  test('as many bounce, hard and soft', () => {
    expectShare(plans.filter(({ fate }) => fate === 'hardBounce').length, rates.hardBounce)
    expectShare(plans.filter(({ fate }) => fate === 'softBounce').length, rates.softBounce)
  })

  test('as many of those that arrive are late, fetched by machines, answered and left', () => {
    const of = delivered.length
    expectShare(delivered.filter(({ delayMs }) => delayMs > 0).length, rates.delay, of)
    expectShare(having('proxyOpen').length, rates.proxy, of)
    expectShare(having('prefetch').length, rates.prefetch, of)
    expectShare(having('scan').length, rates.scanner, of)
    for (const kind of ['reply', 'complaint', 'unsubscribe', 'autoReply'] as const) {
      expectShare(having(kind).length, rates[kind], of)
    }
  })

  test('as many are read, of which nobody sees those whose pictures a proxy fetches; as many of them clicked', () => {
    const withoutProxy = delivered.filter(({ reactions }) => !reactions.some(({ kind }) => kind === 'proxyOpen'))
    expectShare(having('open').length, rates.open, withoutProxy.length)
    expectShare(having('click').length, rates.open * rates.click, delivered.length)
  })

  test('each answer, click and way out comes after reading; machines come first; nothing but the report after a bounce', () => {
    for (const { fate, delayMs, reactions } of plans) {
      const at = (kind: ReactionKind) => reactions.find((reaction) => reaction.kind === kind)?.afterMs
      expect(reactions.map(({ afterMs }) => afterMs)).toEqual(
        reactions.map(({ afterMs }) => afterMs).sort((a, b) => a - b),
      )
      expect(reactions.every(({ afterMs }) => afterMs > delayMs)).toBe(true)
      if (fate !== 'delivered') expect(reactions).toEqual([{ kind: fate, afterMs: expect.any(Number) }])
      const opened = at('open')
      if (opened === undefined) continue
      expect(opened - delayMs).toBeGreaterThanOrEqual(120_000)
      for (const kind of ['click', 'reply', 'complaint', 'unsubscribe'] as const) {
        expect(at(kind) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(opened)
      }
      expect((at('scan') ?? 0) - delayMs).toBeLessThanOrEqual(4_000)
    }
  })

  test('a recipient’s mail program is the same for every mail', () => {
    const scans = (key: string) =>
      plansOf('shares', { ...rates, hardBounce: 0, softBounce: 0 }, key).map(({ reactions }) =>
        reactions.some(({ kind }) => kind === 'scan'),
      )
    expect(scans('1')).toEqual(scans('7'))
  })
})

describe('an address can force it', () => {
  const never = Object.fromEntries(Object.keys(DEFAULT_RATES).map((name) => [name, 0])) as Rates
  const always = { ...never, refuse: 1 }
  const plan = (recipient: string) => planMail('a', { recipient, key: '1' }, never)
  const kinds = (recipient: string) => plan(recipient).reactions.map(({ kind }) => kind)

  test.each([
    ['hardbounce+1@x.example', ['hardBounce']],
    ['softbounce@x.example', ['softBounce']],
    ['reply+lead.3@x.example', ['open', 'reply']],
    ['complain@x.example', ['open', 'complaint']],
    ['unsubscribe@x.example', ['open', 'unsubscribe']],
    ['click@x.example', ['open', 'click']],
    ['autoreply@x.example', ['autoReply']],
    ['scan@x.example', ['scan']],
    ['proxy@x.example', ['proxyOpen']],
    ['prefetch@x.example', ['prefetch']],
    ['deliver@x.example', []],
    ['greylist@x.example', []],
    ['nobody.forces@x.example', []],
  ] satisfies [string, ReactionKind[]][])('%s', (recipient, expected) => {
    expect(kinds(recipient)).toEqual(expected)
  })

  test('how its server answers, whatever the rates', () => {
    const words = ['hang', 'refuse', 'greylist', 'dropdata', 'dropaccepted', 'hangdata', 'rejectdata', 'defer', 'reply']
    expect(words.map((word) => decideReception('a', `${word}+x@x.example`, always))).toEqual([
      ...['hang', 'refuse', 'greylist', 'dropData', 'dropAccepted', 'hangData', 'rejectData', 'defer', 'accept'],
    ])
  })

  test('and that it arrives late', () => {
    expect(plan('delay@x.example').delayMs).toBeGreaterThan(0)
    expect(plan('deliver@x.example').delayMs).toBe(0)
  })
})

describe('settings', () => {
  test('give every rate its name, and the usual one where nothing is said', () => {
    const { rates } = parseConfig(sandboxConfig, { SANDBOX_HARD_BOUNCE_RATE: '0.2', SANDBOX_AUTO_REPLY_RATE: '0' })
    expect(rates).toEqual({ ...DEFAULT_RATES, hardBounce: 0.2, autoReply: 0 })
  })

  test('that are no shares, or more than a whole together, are named', () => {
    expect(() => parseConfig(sandboxConfig, { SANDBOX_OPEN_RATE: '1.5' })).toThrow(/SANDBOX_OPEN_RATE: /)
    const tooMuch = { SANDBOX_REPLY_RATE: '0.7', SANDBOX_COMPLAINT_RATE: '0.4' }
    expect(() => parseConfig(sandboxConfig, tooMuch)).toThrow(
      /SANDBOX_REPLY_RATE: together with SANDBOX_COMPLAINT_RATE and SANDBOX_UNSUBSCRIBE_RATE is more than 1/,
    )
  })
})

test('there is a way to time every reaction', () => {
  const certain = { ...DEFAULT_RATES, autoReply: 1, click: 1, open: 1 }
  const seen = new Set(plansOf('all', certain).flatMap(({ reactions }) => reactions.map(({ kind }) => kind)))
  expect([...seen].sort()).toEqual([...REACTIONS].sort())
})
