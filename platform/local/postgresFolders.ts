import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, lstatSync, mkdirSync, realpathSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { type Account, accountOf, canEnter, findServiceAccount } from './account.ts'
import { makePassableFolder } from './passableFolder.ts'
import { StartProblem } from './startProblem.ts'

/** Where PostgreSQL's files go when its account may not enter the data folder (a clone under root's 0700 home). */
const SHARED_FOLDER = '/var/lib/penguinmails'

export type PostgresFolders = {
  /** Who runs PostgreSQL. */
  account: Account
  /** Its own folder: 0700, the account's. */
  data: string
  /** A folder the account may enter: for a copy of the binaries, if one is needed. */
  base: string
}

/**
 * Settles who runs PostgreSQL and where its data is, and makes that folder.
 * Data that exists is run by its owner, whoever that is. Data that root's service account could not reach is put under
 * /var/lib/penguinmails instead, with a link in the data folder: nobody's home is opened up for it.
 * @throws StartProblem when the folder belongs to somebody else, cannot be reached or cannot be made
 */
export function preparePostgresFolders(dataDir: string): PostgresFolders {
  const service = findServiceAccount()
  makePassableFolder(dataDir)
  const base = canEnter(service, dataDir) ? dataDir : SHARED_FOLDER
  const place = path.join(dataDir, 'postgres')
  if (!existsSync(place)) return { account: service, data: makeDataFolder(place, base, service), base }

  const data = realpathSync(place)
  const account = findOwner(data, service)
  if (!canEnter(account, data)) {
    throw new StartProblem(
      `PostgreSQL runs as ${account?.name ?? 'you'}, who cannot enter ${data}, where its data is: ` +
        'open the folders above it (chmod o+x), or set DATA_DIR to another folder',
    )
  }
  return { account, data, base }
}

function makeDataFolder(place: string, base: string, account: Account): string {
  if (lstatSync(place, { throwIfNoEntry: false })) {
    throw new StartProblem(`${place} is a link to data that is gone: remove the link to start anew`)
  }
  let data = place
  if (base === SHARED_FOLDER) {
    makePassableFolder(SHARED_FOLDER)
    // A random name: the same path may be cloned into twice, and the first clone may only have been moved.
    const clone = path.basename(path.dirname(path.dirname(place)))
    data = path.join(SHARED_FOLDER, `${clone}-${randomBytes(4).toString('hex')}`)
  }
  mkdirSync(data, { mode: 0o700 })
  if (account) chownSync(data, account.uid, account.gid)
  if (data !== place) symlinkSync(data, place)
  return data
}

function findOwner(data: string, service: Account): Account {
  const { uid, gid } = statSync(data)
  const self = process.getuid?.()
  if (self === 0 && uid === 0 && service) {
    // We were stopped between making the folder and giving it away.
    chownSync(data, service.uid, service.gid)
    return service
  }
  if (self === 0) return accountOf(uid, gid)
  if (uid === self) return null
  throw new StartProblem(
    `${data} belongs to ${accountOf(uid, gid).name}: run as that account, or set DATA_DIR elsewhere`,
  )
}
