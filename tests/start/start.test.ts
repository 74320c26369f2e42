import { existsSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { isPortFree } from '#platform/local/freePort.ts'
import { PORT_SETTINGS } from '#platform/local/settings.ts'
import {
  makeStartFolder,
  pressCtrlC,
  processesOf,
  runStart,
  type StartFolder,
  type StartRun,
  survivors,
} from '../support/localPlatform.ts'

const LONG_MS = 240_000
const STARTED = /^ready {2}(http:\S+)$/m

let folder: StartFolder
let run: StartRun

beforeAll(async () => {
  folder = await makeStartFolder()
})
afterAll(async () => {
  if (run) await pressCtrlC(run)
  folder.remove()
})

/** Asks with the token and the query that the start printed, exactly as they stand there. */
async function askAsPrinted(): Promise<{ status: number; body: { data?: Answer; errors?: unknown } }> {
  const [, url = ''] = await run.waitFor(STARTED, LONG_MS)
  const [, authorization = ''] = await run.waitFor(/-H 'authorization: (Bearer \S+)'/)
  const [, body = ''] = await run.waitFor(/--data '(.*)'/)
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body,
  })
  return { status: answer.status, body: (await answer.json()) as { data?: Answer } }
}

type Answer = {
  campaigns: {
    nodes: {
      id: string
      analytics: { sent: number; asOf: string }
      jobs: { nodes: { jobType: string }[] }
      messages: { nodes: { id: string; content: { rawSizeBytes: number } }[] }
    }[]
  }
}

async function expectNothingLeft(processes: ReturnType<typeof processesOf>): Promise<void> {
  expect(await survivors(processes, 60_000)).toEqual([])
  expect(existsSync(path.join(folder.dataDir, 'start.lock'))).toBe(false)
  expect(existsSync(path.join(folder.dataDir, 'postgres', 'cluster', 'postmaster.pid'))).toBe(false)
  for (const name of Object.values(PORT_SETTINGS)) expect(await isPortFree(Number(folder.env[name]))).toBe(true)
}

test(
  'npm start on an empty folder ends in one line saying ready, and the printed query is answered by all four tiers',
  async () => {
    run = runStart(folder)
    const { status, body } = await askAsPrinted()
    expect({ status, errors: body.errors }).toEqual({ status: 200, errors: undefined })
    const nodes = body.data?.campaigns.nodes ?? []
    expect(nodes).toHaveLength(2)
    const active = nodes.find(({ messages }) => messages.nodes.length > 0)
    expect(active?.analytics.sent).toBeGreaterThan(0)
    expect(active?.jobs.nodes.length).toBeGreaterThan(0)
    expect(active?.messages.nodes[0]?.content.rawSizeBytes).toBeGreaterThan(0)
    expect(run.output().match(/^ready /gm)).toHaveLength(1)
  },
  LONG_MS,
)

test(
  'a second start on the same folder is refused and does not disturb the first',
  async () => {
    const second = runStart(folder)
    expect(await second.ended).toBe(1)
    expect(second.output()).toContain(`the platform is already running on ${folder.dataDir}`)
    expect((await askAsPrinted()).status).toBe(200)
  },
  LONG_MS,
)

test(
  'a service that dies is started again',
  async () => {
    const oltp = processesOf(folder).find(({ name }) => name === 'oltp')
    process.kill(oltp?.pid ?? 0, 'SIGKILL')
    await run.waitFor(/oltp ended by SIGKILL; starting it again/)
    for (let attempt = 0; attempt < 300; attempt += 1) {
      const { body } = await askAsPrinted()
      if (!body.errors) return
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    throw new Error(`oltp did not come back:\n${run.output()}`)
  },
  LONG_MS,
)

test(
  'Ctrl-C leaves no process, no lock and no port behind',
  async () => {
    const processes = processesOf(folder)
    expect(processes.map(({ name }) => name).sort()).toEqual(
      expect.arrayContaining([
        ...['analytics', 'content', 'gateway', 'oltp', 'postgres', 'queue', 'sandbox', 'smtpDoor'],
        ...['supervisor', 'worker'],
      ]),
    )
    await pressCtrlC(run)
    expect(run.output()).toMatch(/^stopped$/m)
    await expectNothingLeft(processes)
  },
  LONG_MS,
)

test(
  'the next start keeps the data and does not seed again',
  async () => {
    run = runStart(folder)
    const { body } = await askAsPrinted()
    expect(body.errors).toBeUndefined()
    expect(body.data?.campaigns.nodes).toHaveLength(2)
    expect(run.output()).not.toContain('demo data')
  },
  LONG_MS,
)

test(
  'when the supervisor is killed everything it started ends by itself, and the next start is not held up',
  async () => {
    const processes = processesOf(folder)
    const supervisor = processes.find(({ name }) => name === 'supervisor')
    process.kill(supervisor?.pid ?? 0, 'SIGKILL')
    expect(await survivors(processes, 60_000)).toEqual([])
    await run.ended
    run = runStart(folder)
    expect((await askAsPrinted()).status).toBe(200)
    const next = processesOf(folder)
    await pressCtrlC(run)
    expect(run.output()).toMatch(/^stopped$/m)
    await expectNothingLeft(next)
  },
  LONG_MS,
)
