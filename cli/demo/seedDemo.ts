import { type LocalPlatform, makeLocalGraphClient, makeLocalOltpClient } from '../localClients.ts'
import { DEMO_PLANS, type TenantPlan } from './plan.ts'
import { seedTenants } from './seedTenants.ts'

export type SeedOptions = {
  /** The running platform: `localEnvironment(…).cli`. */
  env: LocalPlatform
  onProgress: (message: string) => void
}

/** Gives a running local platform the demo tenants. Doing it again changes nothing. */
export async function seedDemo(options: SeedOptions): Promise<void> {
  await seedPlans(DEMO_PLANS, options)
}

/** Gives a running local platform the planned tenants. */
export async function seedPlans(plans: readonly TenantPlan[], { env, onProgress }: SeedOptions): Promise<void> {
  const clients = {
    oltp: makeLocalOltpClient(env),
    graphFor: (plan: TenantPlan) => makeLocalGraphClient(env, plan.tenantId, plan.owner.id),
    smtp: { host: '127.0.0.1', port: Number(env.SANDBOX_SMTP_PORT), secure: false, user: null },
  }
  await seedTenants(plans, clients, onProgress)
}
