import os from 'node:os'

/** Where and when figures were taken: a figure without it says nothing. */
export function machineLine(postgresVersion?: string): string {
  const [cpu] = os.cpus()
  const memory = `${Math.round(os.totalmem() / 2 ** 30)} GB`
  const parts = [
    `${os.availableParallelism()} × ${cpu?.model.trim() ?? os.arch()}`,
    memory,
    `Node ${process.versions.node}`,
    ...(postgresVersion ? [`PostgreSQL ${postgresVersion}`] : []),
    `load ${os.loadavg()[0]?.toFixed(1)} before`,
    new Date().toISOString().slice(0, 10),
  ]
  return parts.join(', ')
}
