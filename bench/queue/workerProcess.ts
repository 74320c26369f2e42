/** A worker of the bench in a process of its own: opens our queue, runs when told to, and tells what it ran. */
import { type OursOptions, openOurs } from './ours.ts'

export type Order = { open: OursOptions } | 'work' | 'stop'
export type Answer = { ready: true } | { ran: number } | { problem: string }

const answer = (message: Answer) => process.send?.(message)

let ran = 0
let stop: () => Promise<unknown> = async () => {}
let ours: Awaited<ReturnType<typeof openOurs>> | undefined

process.on('message', async (order: Order) => {
  if (order === 'work') {
    ran = 0
    stop = (await ours?.work(() => void ran++)) ?? stop
  } else if (order === 'stop') {
    await stop()
    answer({ ran })
  } else {
    ours = await openOurs(order.open)
    answer({ ready: true })
  }
})
// Ctrl-C reaches us as well; the bench decides when we end, by ending itself at the latest.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
process.on('uncaughtException', (error) => {
  if (process.connected) answer({ problem: error.message })
  process.exitCode = 1
  process.disconnect?.()
})
