/** One gateway in a process of its own, that tells what processor time it has used whenever it is asked. */
import type { ContenderId } from './contenders.ts'
import type { Start, Started } from './starting.ts'

/** Imported by the one that starts it: no gateway shares its memory with the others' modules. */
const STARTS: Record<ContenderId, (start: Start) => Promise<Started>> = {
  stock: async (start) => (await import('./stock.ts')).startStock(start),
  // Compiling operations is what its makers measure it with; by the Rust planner's executor, data are null then.
  hive: async (start) => (await import('./hive.ts')).startHive(start, ['--jit']),
  'hive-rust': async (start) => (await import('./hive.ts')).startHive(start, ['--hive-router-runtime']),
  grafbase: async (start) => (await import('./grafbase.ts')).startGrafbase(start),
  apollo: async (start) => (await import('./own.ts')).startOwn(start, 'apollo'),
  lean: async (start) => (await import('./own.ts')).startOwn(start, 'lean'),
  relay: async (start) => (await import('./relay.ts')).startRelay(start),
}

// By `exit`, what was started is stopped and its files are removed.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(0))
process.once('disconnect', () => process.exit(0))

let usageMs = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
process.on('message', async (message: { start?: Start; usage?: true }) => {
  if (message.usage) process.send?.({ usageMs: usageMs() })
  if (message.start) {
    const started = await STARTS[message.start.id](message.start)
    usageMs = started.usageMs ?? usageMs
    process.send?.({ ready: started.url })
  }
})
