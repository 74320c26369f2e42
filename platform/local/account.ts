import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { StartProblem } from './startProblem.ts'

/** The account PostgreSQL runs under when we are root; null means it runs as ourselves. */
export type Account = { name: string; uid: number; gid: number } | null

/** PostgreSQL refuses to run as root. In this order, since the first is made for it and the last exists everywhere. */
const CANDIDATES = ['postgres', '_postgres', 'nobody']

/** The unprivileged account root should run PostgreSQL under; null for anybody else. */
export function findServiceAccount(): Account {
  if (process.getuid?.() !== 0) return null
  const accounts = readAccounts()
  const name = CANDIDATES.find((candidate) => accounts.some((account) => account.name === candidate))
  const account = accounts.find((one) => one.name === name)
  if (account) return account
  throw new StartProblem(
    'PostgreSQL refuses to run as root, and this system has none of the accounts postgres, nobody: run as another user',
  )
}

/** The account of this number, named as the system names it. */
export function accountOf(uid: number, gid: number): NonNullable<Account> {
  return { name: readAccounts().find((account) => account.uid === uid)?.name ?? `uid ${uid}`, uid, gid }
}

/** Whether the account may enter this folder. The system is asked, so that ACLs and mounts count too. */
export function canEnter(account: Account, folder: string): boolean {
  const answer = spawnSync('/bin/sh', ['-c', 'test -x "$0"', folder], { cwd: '/', stdio: 'ignore', ...runAs(account) })
  return answer.status === 0
}

/** The part of `spawn`'s options that makes a process run under the account. */
export function runAs(account: Account): { uid?: number; gid?: number } {
  return account ? { uid: account.uid, gid: account.gid } : {}
}

function readAccounts(): NonNullable<Account>[] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [name, , uid, gid] = line.split(':')
      return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : []
    })
}
