import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { AppError } from './errors.ts'

/** Where secrets are kept that the database only names. What is read is neither logged nor kept here. */
export type Vault = {
  /** @throws AppError NOT_FOUND when the vault has no secret of this name, INVALID_INPUT for a name that is none */
  read(secretPath: string): Promise<string>
  /**
   * Keeps a secret in place of the one that was there; a reader sees the old or the new one, never half of one.
   * @throws AppError INVALID_INPUT for a secret that is empty or too long, UNAVAILABLE for a vault that can't be written
   */
  put(secretPath: string, secret: string): Promise<void>
  /** Forgets a secret, if it is there. @throws AppError UNAVAILABLE for a vault that can't be written */
  remove(secretPath: string): Promise<void>
}

const MAX_SECRET_BYTES = 65_536

/**
 * `file:/path/to/folder`: one file per secret, its name below the folder. `env:PREFIX_`: one variable per secret, the
 * prefix and the name in upper case with `_` for whatever is no letter or digit.
 */
export const vaultSetting = z
  .string()
  .regex(/^(file:.+|env:[A-Za-z0-9_]*)$/, 'is neither file:<folder> nor env:<PREFIX>')

/** Names of letters, digits and `._@-`, in folders: nothing that leads out of the vault. */
const NAME = /^[A-Za-z0-9_@-][A-Za-z0-9._@-]*(\/[A-Za-z0-9_@-][A-Za-z0-9._@-]*)*$/

export function openVault(setting: string, env: NodeJS.ProcessEnv = process.env): Vault {
  const [, kind, place = ''] = /^(file|env):(.*)$/.exec(setting) ?? []
  const find = kind === 'file' ? (name: string) => readSecretFile(path.resolve(place), name) : findVariable
  function findVariable(name: string): Promise<string | undefined> {
    return Promise.resolve(env[place + name.toUpperCase().replace(/[^A-Z0-9]+/g, '_')])
  }
  return {
    async put(secretPath, secret) {
      requireName(secretPath)
      if (secret === '' || Buffer.byteLength(secret) > MAX_SECRET_BYTES) {
        throw new AppError('INVALID_INPUT', 'the secret is empty or too long')
      }
      if (kind !== 'file') throw new AppError('UNAVAILABLE', 'the vault can only be read')
      await writeSecretFile(path.resolve(place, secretPath), secret)
    },
    async remove(secretPath) {
      requireName(secretPath)
      if (kind !== 'file') throw new AppError('UNAVAILABLE', 'the vault can only be read')
      await rm(path.resolve(place, secretPath), { force: true })
    },
    async read(secretPath) {
      requireName(secretPath)
      const secret = await find(secretPath)
      if (!secret) throw new AppError('NOT_FOUND', `the vault has no secret ${secretPath}`)
      return secret
    },
  }
}

function requireName(secretPath: string): void {
  if (!NAME.test(secretPath)) throw new AppError('INVALID_INPUT', 'the name of a secret is none')
}

/** Written beside its place, for our own user alone, and moved there once it is on the disk. */
async function writeSecretFile(file: string, secret: string): Promise<void> {
  const fresh = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
    const handle = await open(fresh, 'wx', 0o600)
    try {
      await handle.writeFile(secret)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(fresh, file)
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => {})
    throw new AppError('UNAVAILABLE', 'the vault cannot be written', { cause: error })
  }
}

/** A file's text without the line break that editors put at its end. */
async function readSecretFile(folder: string, name: string): Promise<string | undefined> {
  try {
    return (await readFile(path.join(folder, name), 'utf8')).replace(/\r?\n$/, '')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new AppError('UNAVAILABLE', 'the vault cannot be read', { cause: error })
  }
}
