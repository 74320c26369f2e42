import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, realpathSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { type Account, accountOf, canEnter, findServiceAccount } from './account.ts'
import { StartProblem } from './startProblem.ts'

/** Where PostgreSQL's files go when its account may not enter the data folder (a clone under root's 0700 home). */
const SHARED_FOLDER = '/var/lib/penguinmails'

/** Who runs PostgreSQL, where its data is, and where our copy of its binaries would go if one is needed. */
export type PostgresFolders = { account: Account; data: string; binaries: string }

/**
 * Settles account and folders, and makes the data folder (0700, owned by the account).
 * Data that exists is run by its owner, whoever that is. Data that root's service account could not reach is put under
 * /var/lib/penguinmails instead, with a link in the data folder: nobody's home is opened up for it.
 * @throws StartProblem when the folder belongs to somebody else or cannot be made
 */
export function preparePostgresFolders(dataDir: string): PostgresFolders {
  const link = path.join(dataDir, 'postgres')
  const base = findBase(dataDir)
  if (!existsSync(link)) return makeDataFolder(link, base)
  const data = realpathSync(link)
  const account = findOwner(data)
  if (!canEnter(account, data)) {
    throw new StartProblem(
      `account ${account?.name ?? 'of this process'} cannot enter ${data}, where PostgreSQL's data is: ` +
        'open the folders above it (chmod o+x), or set DATA_DIR to another folder',
    )
  }
  return { account, data, binaries: base }
}

function findBase(dataDir: string): string {
  makeFolder(dataDir)
  const account = findServiceAccount()
  return canEnter(account, dataDir) ? dataDir : SHARED_FOLDER
}

function makeDataFolder(link: string, base: string): PostgresFolders {
  const account = findServiceAccount()
  let data = link
  if (base === SHARED_FOLDER) {
    // A random name: the same path may be cloned into twice, and the first clone may only have been moved.
    const clone = path.basename(path.dirname(path.dirname(link)))
    makeFolder(SHARED_FOLDER)
    data = path.join(SHARED_FOLDER, `${clone}-${randomBytes(4).toString('hex')}`)
  }
  mkdirSync(data, { mode: 0o700 })
  if (account) chownSync(data, account.uid, account.gid)
  if (data !== link) {
    if (isLink(link)) throw new StartProblem(`${link} points at data that is gone: remove the link to start anew`)
    symlinkSync(data, link)
  }
  return { account, data, binaries: base }
}

function findOwner(data: string): Account {
  const { uid, gid } = statSync(data)
  const self = process.getuid?.()
  if (uid === self) return self === 0 ? findServiceAccount() : null
  if (self === 0) return accountOf(uid, gid)
  throw new StartProblem(
    `${data} belongs to ${accountOf(uid, gid).name}: run as that account, or set DATA_DIR elsewhere`,
  )
}

/** Makes a folder that other accounts may pass through but not list; one that exists keeps its mode. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  try {
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o711)
  } catch (error) {
    throw new StartProblem(
      `cannot make ${folder} (${(error as Error).message}): set DATA_DIR to a folder that can be made`,
    )
  }
}

function isLink(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
}
