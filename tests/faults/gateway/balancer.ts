import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'

const LOOK_EVERY_MS = 50

/**
 * What stands before gateways: it asks each whether it is ready, and sends a request to one that said so last, in turn.
 * It tries nothing twice: a request that fails there has failed.
 */
export class Balancer {
  readonly #gateways: { pool: Pool; isReady: boolean }[]
  #turn = 0
  #isOpen = true
  readonly #looking: Promise<void>

  constructor(origins: readonly string[]) {
    this.#gateways = origins.map((origin) => ({ pool: new Pool(origin), isReady: false }))
    this.#looking = this.#look()
  }

  get readyCount(): number {
    return this.#gateways.filter(({ isReady }) => isReady).length
  }

  /** @throws whatever undici says of a connection that breaks, and Error when no gateway is ready */
  async post(path: string, headers: Record<string, string>, body: string): Promise<{ status: number; text: string }> {
    const ready = this.#gateways.filter(({ isReady }) => isReady)
    const gateway = ready[this.#turn++ % ready.length]
    if (!gateway) throw new Error('no gateway is ready')
    const answer = await gateway.pool.request({ path, method: 'POST', headers, body })
    return { status: answer.statusCode, text: await answer.body.text() }
  }

  async close(): Promise<void> {
    this.#isOpen = false
    await this.#looking
    await Promise.all(this.#gateways.map(({ pool }) => pool.destroy()))
  }

  async #look(): Promise<void> {
    while (this.#isOpen) {
      await Promise.all(
        this.#gateways.map(async (gateway) => {
          const status = await gateway.pool
            .request({ path: '/health/ready', method: 'GET' })
            .then(({ statusCode, body }) => body.dump().then(() => statusCode))
            .catch(() => 0)
          gateway.isReady = status === 200
        }),
      )
      await sleep(LOOK_EVERY_MS)
    }
  }
}
