/** Starts PostgreSQL in the folder and on the port given, prints its process number, and stays. */
import { startPostgres } from '#platform/local/postgres.ts'

const [dataDir = '', port] = process.argv.slice(2)
const { pid } = await startPostgres({ dataDir, port: Number(port), password: 'secret', durable: false })
process.stdout.write(`${pid}\n`)
setInterval(() => {}, 60_000)
