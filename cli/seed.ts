import { parseArgs } from 'node:util'
import { localEnvironment } from '#platform/local/environment.ts'
import { readLocalSettings } from '#platform/local/settings.ts'
import type { TenantPlan } from './demo/plan.ts'
import { makeRandom } from './demo/random.ts'
import { seedPlans } from './demo/seedDemo.ts'

const USAGE = `npm run seed -- [options]

Gives the running platform made-up tenants: the same ones for the same --seed, so that a repeat adds nothing.

  --tenants N     how many tenants (default 1)
  --campaigns N   campaigns with history per tenant (default 2)
  --messages N    mails per tenant: sent by its campaigns, replies, and real mail of the corpus (default 500)
  --leads N       leads per tenant (default 200)
  --seed N        which made-up world (default 1)
`

const { values } = parseArgs({
  options: {
    tenants: { type: 'string', default: '1' },
    campaigns: { type: 'string', default: '2' },
    messages: { type: 'string', default: '500' },
    leads: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(USAGE)
else {
  const { dataDir, ports } = readLocalSettings()
  const { cli } = localEnvironment(dataDir, ports, process.env)
  const plans = Array.from({ length: wholeNumber('tenants', 1) }, (_, index) => makePlan(index))
  await seedPlans(plans, { env: cli, onProgress: (message) => process.stdout.write(`${message}\n`) })
  for (const plan of plans) process.stdout.write(`${plan.tenantId}  ${plan.slug}\n`)
}

/** Two in ten messages arrive on their own (as far as the corpus reaches), one is a reply, the rest campaigns send. */
function makePlan(index: number): TenantPlan {
  const seed = wholeNumber('seed', 0) * 10_000 + index + 100
  const random = makeRandom(seed)
  const tenantId = random.id()
  const name = random.fake.company.name()
  const slug = `${name.toLowerCase().replace(/[^a-z]+/g, '-')}-${seed}`
  const campaigns = wholeNumber('campaigns', 1)
  const messages = wholeNumber('messages', 0)
  const corpusMails = Math.min(Math.round(messages * 0.2), 5_000)
  const repliesPerCampaign = Math.round((messages * 0.1) / campaigns)
  const sentPerCampaign = Math.round((messages - corpusMails) / campaigns) - repliesPerCampaign
  return {
    tenantId,
    slug,
    name,
    timezone: random.fake.helpers.arrayElement(['Europe/Berlin', 'America/New_York', 'Asia/Tokyo', 'UTC']),
    owner: { id: random.id(), email: `owner@${slug}.example`, name: random.fake.person.fullName() },
    // The workspace draws its ids from a seed of its own: they must not repeat the two drawn here.
    seed: seed + 5_000_000,
    size: {
      leads: wholeNumber('leads', 1),
      campaigns,
      sentPerCampaign,
      repliesPerCampaign,
      corpusMails,
    },
  }
}

function wholeNumber(name: 'tenants' | 'campaigns' | 'messages' | 'leads' | 'seed', least: number): number {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= least) return value
  process.stderr.write(`--${name} is a whole number of at least ${least}, not ${values[name]}\n`)
  process.exit(2)
}
