/** One gateway in a process of its own, that tells what processor time it has used whenever it is asked. */
import { startOwn } from './own.ts'
import { startStock } from './stock.ts'

/** Which gateway to start, and over what. */
export type Start = { name: string; supergraphSdl: string; publicKey: object; ports: Record<string, number> }

process.on('message', async (message: { start?: Start; usage?: true }) => {
  if (message.usage) {
    const { user, system } = process.cpuUsage()
    process.send?.({ usageMs: (user + system) / 1000 })
  }
  if (message.start) process.send?.({ ready: await start(message.start) })
})
process.once('disconnect', () => process.exit(0))

function start({ name, supergraphSdl, ...rest }: Start): Promise<string> {
  if (name === 'stock') return startStock(supergraphSdl)
  return startOwn({
    supergraphSdl,
    face: name === 'lean' ? 'lean' : 'apollo',
    ...(rest as never as { publicKey: object; ports: never }),
  })
}
