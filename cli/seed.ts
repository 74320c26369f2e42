import { parseArgs } from 'node:util'
import { localEnvironment } from '#platform/local/environment.ts'
import { readLocalSettings } from '#platform/local/settings.ts'
import { adviceFor, CliProblem } from './commandLine.ts'
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

const OPTIONS = {
  tenants: { type: 'string', default: '1' },
  campaigns: { type: 'string', default: '2' },
  messages: { type: 'string', default: '500' },
  leads: { type: 'string', default: '200' },
  seed: { type: 'string', default: '1' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

try {
  const { values } = parseArgs({ options: OPTIONS })
  if (values.help) process.stdout.write(USAGE)
  else await seed(values)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n${adviceFor(error, 'seed')}`)
  process.exitCode = 1
}

type Numbers = Record<'tenants' | 'campaigns' | 'messages' | 'leads' | 'seed', string>

async function seed(numbers: Numbers): Promise<void> {
  const { dataDir, ports } = readLocalSettings()
  const { cli } = localEnvironment(dataDir, ports, process.env)
  const plans = Array.from({ length: readCount(numbers, 'tenants', 1) }, (_, index) => makePlan(numbers, index))
  await seedPlans(plans, { env: cli, onProgress: (message) => process.stdout.write(`${message}\n`) })
  for (const plan of plans) process.stdout.write(`${plan.tenantId}  ${plan.slug}\n`)
}

/** Two in ten messages arrive on their own (as far as the corpus reaches), one is a reply, the rest campaigns send. */
function makePlan(numbers: Numbers, index: number): TenantPlan {
  const seed = readCount(numbers, 'seed', 0) * 10_000 + index + 100
  const random = makeRandom(seed)
  const tenantId = random.id()
  const name = random.fake.company.name()
  const slug = `${name.toLowerCase().replace(/[^a-z]+/g, '-')}-${seed}`
  const campaigns = readCount(numbers, 'campaigns', 1)
  const messages = readCount(numbers, 'messages', 0)
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
      leads: readCount(numbers, 'leads', 1),
      campaigns,
      sentPerCampaign,
      repliesPerCampaign,
      corpusMails,
    },
  }
}

function readCount(numbers: Numbers, name: keyof Numbers, least: number): number {
  const value = Number(numbers[name])
  if (Number.isInteger(value) && value >= least) return value
  throw new CliProblem(`--${name} is a whole number of at least ${least}, not ${numbers[name]}`)
}
