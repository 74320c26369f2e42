import { z } from 'zod'
import { listenSettings, port } from '#platform/config.ts'
import { reachableHost } from '#platform/local/settings.ts'
import { DEFAULT_RATES, type Rates } from './rates.ts'

const share = z.coerce.number().min(0).max(1)

/** `SANDBOX_HARD_BOUNCE_RATE` for `hardBounce`. */
const settingOf = (name: string) => `SANDBOX_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}_RATE`

const rateSettings = Object.fromEntries(
  Object.entries(DEFAULT_RATES).map(([name, rate]) => [settingOf(name), share.default(rate)]),
)

/** Shares of the same whole: together they cannot be more than it. */
const WHOLES: readonly (readonly (keyof Rates)[])[] = [
  ['refuse', 'greylist'],
  ['hardBounce', 'softBounce'],
  ['proxy', 'prefetch', 'scanner'],
  ['reply', 'complaint', 'unsubscribe'],
]

/** Settings of the sandbox; .env.example explains each. */
export const sandboxConfig = z
  .object({
    ...listenSettings,
    SANDBOX_PORT: port.default(4007),
    SANDBOX_SMTP_PORT: port.default(4026),
    SANDBOX_SEED: z.string().default('1'),
    /** Where answers go: the platform's door for mail. */
    SMTP_PORT: port.default(4025),
    /** Whose links may be visited: the platform's gateway, and nobody else's. */
    GATEWAY_PORT: port.default(4000),
  })
  // An intersection keeps the types of the settings above; the rates' names are only known as strings.
  .and(z.object(rateSettings))
  .transform((settings, context) => {
    const values = settings as Record<string, unknown>
    const rates = Object.fromEntries(
      Object.keys(DEFAULT_RATES).map((name) => [name, Number(values[settingOf(name)])]),
    ) as Rates
    for (const whole of WHOLES) {
      if (whole.reduce((sum, name) => sum + rates[name], 0) <= 1 + 1e-9) continue
      const [first = '', ...others] = whole.map(settingOf)
      context.addIssue({
        code: 'custom',
        path: [first],
        message: `together with ${others.join(' and ')} is more than 1`,
      })
    }
    const platformHost = reachableHost({ HOST: settings.HOST })
    return {
      host: settings.HOST,
      port: settings.SANDBOX_PORT,
      logLevel: settings.LOG_LEVEL,
      smtpPort: settings.SANDBOX_SMTP_PORT,
      seed: settings.SANDBOX_SEED,
      rates,
      door: { host: platformHost, port: settings.SMTP_PORT },
      visits: `http://${platformHost}:${settings.GATEWAY_PORT}`,
    }
  })
export type SandboxConfig = z.output<typeof sandboxConfig>
