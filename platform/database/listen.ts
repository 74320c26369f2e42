import pg from 'pg'

const SHORTEST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

export type ListenOptions = {
  /** An SQL identifier. */
  channel: string
  onNotification: (payload: string) => void
  /** Called at the beginning and after each time nobody listened: what was told meanwhile is lost. */
  onListening: () => void
}

/**
 * Listens to a channel over a connection of its own, made like those of `pool`, again and again after it was lost. Answers
 * what ends it. Notifications are hints: whoever needs them must also look by himself now and then.
 */
export function listen(pool: pg.Pool, { channel, onNotification, onListening }: ListenOptions): () => void {
  let current: pg.Client | undefined
  let retry: NodeJS.Timeout | undefined
  let isClosed = false
  const connect = async (pauseMs: number) => {
    const client = new pg.Client(pool.options)
    current = client
    let pause = pauseMs
    let isLost = false
    const lose = () => {
      if (isLost || isClosed) return
      isLost = true
      client.end().catch(() => {})
      retry = setTimeout(() => void connect(Math.min(LONGEST_PAUSE_MS, pause * 2)), pause)
    }
    client.on('error', lose)
    client.on('end', lose)
    client.on('notification', ({ payload }) => onNotification(payload ?? ''))
    try {
      await client.connect()
      await client.query(`LISTEN ${channel}`)
      pause = SHORTEST_PAUSE_MS
      onListening()
    } catch {
      lose()
    }
    if (isClosed) client.end().catch(() => {})
  }
  void connect(SHORTEST_PAUSE_MS)
  return () => {
    isClosed = true
    clearTimeout(retry)
    current?.end().catch(() => {})
  }
}
