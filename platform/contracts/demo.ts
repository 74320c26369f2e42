/** Tenants of the demo data. `rival` exists to prove that `demo` cannot be seen from it. */
export const DEMO_TENANTS = {
  demo: '01930000-0000-7000-8000-00000000d3a0',
  rival: '01930000-0000-7000-8000-000000000a1f',
} as const
export type DemoTenant = keyof typeof DEMO_TENANTS

/** Owner of each demo tenant: the user a development token speaks for when none is named. */
export const DEMO_OWNERS: Record<DemoTenant, { id: string; email: string; name: string }> = {
  demo: { id: '01930000-0000-7000-8000-00000000d3a1', email: 'ada@demo.example', name: 'Ada Byron' },
  rival: { id: '01930000-0000-7000-8000-000000000a1e', email: 'riva@rival.example', name: 'Riva Lee' },
}

/** The owner of a demo tenant; null for any other tenant. */
export function findDemoOwner(tenantId: string): { id: string; email: string; name: string } | null {
  const slug = (Object.keys(DEMO_TENANTS) as DemoTenant[]).find((name) => DEMO_TENANTS[name] === tenantId)
  return slug ? DEMO_OWNERS[slug] : null
}
