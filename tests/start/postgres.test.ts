import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import pg from 'pg'
import { clusterFolder } from '#platform/local/cluster.ts'
import { type RunningPostgres, startPostgres } from '#platform/local/postgres.ts'
import { findProcess } from '#platform/local/processes.ts'
import { StartProblem } from '#platform/local/startProblem.ts'
import { eventually } from '../support/eventually.ts'
import { findFreePort } from '../support/freePort.ts'

let dataDir: string
let port: number
const running: RunningPostgres[] = []
const children: ChildProcess[] = []

beforeEach(async () => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'penguinmails-launcher-'))
  chmodSync(dataDir, 0o711)
  port = await findFreePort()
})

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()))
  for (const child of children.splice(0)) child.kill('SIGKILL')
  removeData(dataDir)
})

async function start(folder = dataDir, durable = false): Promise<RunningPostgres> {
  const server = await startPostgres({ dataDir: folder, port, password: 'secret', durable })
  running.push(server)
  return server
}

async function ask(sql: string, { user = 'postgres', password = 'secret' } = {}): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres' })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/** A program that has nothing to do with PostgreSQL, run by the account that owns the cluster. */
function startBystander(): ChildProcess {
  const { uid, gid } = statSync(clusterFolder(path.join(dataDir, 'postgres')))
  const bystander = spawn('sleep', ['60'], { uid, gid, stdio: 'ignore', cwd: '/' })
  children.push(bystander)
  return bystander
}

function removeData(folder: string): void {
  const data = path.join(folder, 'postgres')
  if (existsSync(data)) rmSync(realpathSync(data), { recursive: true, force: true })
  rmSync(folder, { recursive: true, force: true })
}

test('a new cluster is PostgreSQL 18, asks everyone for the password and listens on the loopback address alone', async () => {
  const server = await start()
  expect(await ask('SHOW server_version_num')).toEqual([{ server_version_num: expect.stringMatching(/^18/) }])
  expect(await ask('SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }])
  expect(await ask('SHOW unix_socket_directories')).toEqual([{ unix_socket_directories: '' }])
  expect(await ask("SELECT lower('ÄÖ') AS low, 'a' < 'B' AS by_language")).toEqual([{ low: 'äö', by_language: false }])
  await expect(ask('SELECT 1', { password: 'wrong' })).rejects.toMatchObject({ code: '28P01' })
  expect(findProcess(server.pid)?.command).toContain(clusterFolder(realpathSync(path.join(dataDir, 'postgres'))))
})

test('as root the server runs as somebody else', async () => {
  await start()
  const owner = statSync(clusterFolder(path.join(dataDir, 'postgres'))).uid
  expect(owner).not.toBe(0)
  expect(owner === process.getuid?.()).toBe(process.getuid?.() !== 0)
})

test('a second start keeps the data', async () => {
  await start()
  await ask('CREATE TABLE kept AS SELECT 42 AS answer')
  await running.splice(0)[0]?.stop()
  await start()
  expect(await ask('SELECT answer FROM kept')).toEqual([{ answer: 42 }])
})

test('a pid file whose number now belongs to another program is no obstacle, and that program is left alone', async () => {
  await start()
  await running.splice(0)[0]?.stop()
  const bystander = startBystander()
  const cluster = clusterFolder(path.join(dataDir, 'postgres'))
  writeFileSync(
    path.join(cluster, 'postmaster.pid'),
    `${bystander.pid}\n${cluster}\n1700000000\n${port}\n\n127.0.0.1\n`,
  )
  await start()
  expect(await ask('SELECT 1 AS one')).toEqual([{ one: 1 }])
  expect(findProcess(bystander.pid ?? 0)).not.toBeNull()
})

test('a server that was killed starts again with everything that was committed', async () => {
  const first = await start(dataDir, true)
  await ask('CREATE TABLE kept AS SELECT 42 AS answer')
  running.length = 0
  process.kill(first.pid, 'SIGKILL')
  await first.ended
  await start()
  expect(await ask('SELECT answer FROM kept')).toEqual([{ answer: 42 }])
})

test('a server that outlived its starter is replaced', async () => {
  const first = await start()
  running.length = 0
  const second = await start()
  await first.ended
  expect(second.pid).not.toBe(first.pid)
  expect(await ask('SELECT 1 AS one')).toEqual([{ one: 1 }])
})

test('when the starter is killed the server ends by itself', async () => {
  const program = path.join(import.meta.dirname, 'programs/startPostgres.ts')
  const starter = spawn(process.execPath, ['--import', 'tsx', program, dataDir, String(port)], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(starter)
  const [printed] = await once(starter.stdout, 'data')
  const pid = Number(String(printed))
  expect(findProcess(pid)).not.toBeNull()
  starter.kill('SIGKILL')
  await eventually(
    async () => findProcess(pid),
    (found) => found === null,
  )
})

test('a taken port is one clear error that names the port and its setting', async () => {
  const squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen(port, '127.0.0.1', resolve))
  try {
    await expect(start()).rejects.toThrow(
      new StartProblem(`port ${port} is taken by another program: set POSTGRES_PORT to a free one`),
    )
  } finally {
    squatter.close()
  }
})

test('data in a folder that is closed to other accounts (a clone in a 0700 home) works, and the folder stays closed', async () => {
  const home = path.join(dataDir, 'home')
  mkdirSync(home, { mode: 0o700 })
  const closed = path.join(home, 'clone', '.data')
  try {
    await start(closed)
    await ask('CREATE TABLE kept AS SELECT 42 AS answer')
    await running.splice(0)[0]?.stop()
    await start(closed)
    expect(await ask('SELECT answer FROM kept')).toEqual([{ answer: 42 }])
    expect(statSync(home).mode & 0o777).toBe(0o700)
  } finally {
    await Promise.all(running.splice(0).map((server) => server.stop()))
    removeData(closed)
  }
})

test('data of another major version is refused by name', async () => {
  await start()
  await running.splice(0)[0]?.stop()
  const version = path.join(clusterFolder(path.join(dataDir, 'postgres')), 'PG_VERSION')
  expect(readFileSync(version, 'utf8')).toBe('18\n')
  writeFileSync(version, '16\n')
  await expect(start()).rejects.toThrow(/holds data of PostgreSQL 16/)
})
