import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { v7 as uuidv7 } from 'uuid'
import { DEMO_OWNERS, DEMO_TENANTS } from '#platform/contracts/demo.ts'
import type { ServiceClient } from '#platform/graph/serviceClient.ts'
import { localEnvironment } from '#platform/local/environment.ts'
import { readLocalSettings } from '#platform/local/settings.ts'
import { makeLocalGraphClient, makeLocalOltpClient } from '../../cli/localClients.ts'
import { makeStartFolder, pressCtrlC, processesOf, runStart } from '../../tests/support/localPlatform.ts'
import { processorTimeOfFamily } from '../support/processorTime.ts'

const PROVISION = 'mutation ($input: ProvisionTenantInput!) { provisionTenant(input: $input) { created } }'

/** A client of the platform, where its files are, and how much memory its processes take. */
export type BenchPlatform = {
  ask: <Data>(query: string, variables?: Record<string, unknown>) => Promise<Data>
  at: (path: string) => URL
  /** The oltp tier's own door, for services. */
  oltp: ServiceClient
  /** Resident memory of a process, in MB, and the processor time that it and its children have had, in seconds. */
  usageOf: (name: string) => { memory: number; seconds: number }
  stop: () => Promise<void>
}

/**
 * Starts the platform as a user does, its parts in processes of their own, with one tenant that has no limits and no data.
 * @param settings of all its processes, beside the usual
 */
export async function startPlatform(settings: Record<string, string> = {}): Promise<BenchPlatform> {
  const folder = await makeStartFolder()
  Object.assign(folder.env, settings)
  writeFileSync(path.join(folder.dataDir, 'demo-seeded'), '')
  const run = runStart(folder)
  const stop = async () => {
    await pressCtrlC(run)
    folder.remove()
  }
  try {
    await run.waitFor(/ready {2}http/)
    const { ports } = readLocalSettings(folder.env)
    const { cli } = localEnvironment(folder.dataDir, ports, folder.env)
    const { id, email, name } = DEMO_OWNERS.demo
    const subscription = { id: uuidv7(), planCode: 'enterprise', ...period() }
    const tenant = { id: DEMO_TENANTS.demo, name: 'Bench', slug: 'bench' }
    const input = { tenant, users: [{ id, email, name, roles: ['OWNER'] }], subscription }
    const oltp = makeLocalOltpClient(cli)
    await oltp.request(PROVISION, { input })
    const graph = makeLocalGraphClient(cli, DEMO_TENANTS.demo, id)
    const pids = new Map(processesOf(folder).map((process) => [process.name, process.pid]))
    return {
      async ask<Data>(query: string, variables?: Record<string, unknown>) {
        const { data, errors } = await graph.ask<Data>(query, variables)
        if (!data || errors[0]) throw new Error(errors[0]?.message ?? 'no data')
        return data
      },
      oltp,
      at: (address) => new URL(address, `http://127.0.0.1:${ports.gateway}`),
      usageOf: (service) => {
        const pid = pids.get(service)
        if (pid === undefined) throw new Error(`there is no process ${service}`)
        const kilobytes = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })
        return { memory: Number(kilobytes) / 1024, seconds: processorTimeOfFamily(pid) / 1_000 }
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function period() {
  const day = 86_400_000
  return {
    periodStartAt: new Date(Date.now() - day).toISOString(),
    periodEndAt: new Date(Date.now() + 30 * day).toISOString(),
  }
}
