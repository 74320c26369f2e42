import { type ChildProcess, fork } from 'node:child_process'
import type { Tier } from '#platform/contracts/tiers.ts'
import type { Start } from './starting.ts'

export type RunningGateway = { url: string; usageMs: () => Promise<number>; stop: () => void }

/** Starts the stub subgraphs; gives back the port of each. */
export async function startStubs(): Promise<{ ports: Record<Tier, number>; stop: () => void }> {
  const child = spawnProcess('stubProcess.ts')
  const { ready } = await answerOf<{ ready: Record<Tier, number> }>(child)
  return { ports: ready, stop: () => child.kill() }
}

export async function startGateway(start: Start): Promise<RunningGateway> {
  const child = spawnProcess('gatewayProcess.ts')
  child.send({ start })
  const { ready } = await answerOf<{ ready: string }>(child)
  return {
    url: ready,
    async usageMs() {
      child.send({ usage: true })
      return (await answerOf<{ usageMs: number }>(child)).usageMs
    },
    stop: () => child.kill(),
  }
}

function spawnProcess(file: string): ChildProcess {
  return fork(new URL(file, import.meta.url), {
    execArgv: ['--import', 'tsx'],
    // From the outset: some modules look at it once, when they are loaded.
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** The next message of a child, which sends one at a time. */
function answerOf<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: unknown) => {
      child.off('exit', onExit)
      resolve(message as Message)
    }
    const onExit = () => {
      child.off('message', onMessage)
      reject(new Error('a process of the bench has ended'))
    }
    child.once('message', onMessage).once('exit', onExit)
  })
}
