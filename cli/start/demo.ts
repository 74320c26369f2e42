import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ProcessSettings } from '#platform/local/environment.ts'
import type { Terminal } from './terminal.ts'

type DemoOptions = { dataDir: string; env: ProcessSettings; terminal: Terminal }

/** Brings the demo data in through the running platform, once for each data folder. Halfway is not done: it is repeatable. */
export async function seedOnFirstRun({ dataDir, env, terminal }: DemoOptions): Promise<void> {
  const marker = path.join(dataDir, 'demo-seeded')
  if (existsSync(marker)) return
  // Loaded only when needed: it brings a mail parser with it.
  const { seedDemo } = await import('../demo/seedDemo.ts')
  await seedDemo({ env, onProgress: (message) => terminal.progress(`demo data: ${message}`) })
  writeFileSync(marker, `${new Date().toISOString()}\n`)
  terminal.step('demo data: tenants demo and rival')
}
