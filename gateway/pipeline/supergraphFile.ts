import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Log } from '#platform/log.ts'
import type { Engine } from './engine.ts'

/** Looking at the file's date is cheap, and sees a file that was replaced or is mounted, where events are lost. */
const LOOK_EVERY_MS = 1_000

/** The supergraph's text. @throws if the file is not there */
export function readSupergraphFile(file: string): string {
  return readFileSync(file, 'utf8')
}

/**
 * Puts a supergraph in force whenever its file changes. One that is not valid is refused and logged, and the old one
 * stays. Gives back what ends it.
 */
export function followSupergraphFile(file: string, engine: Engine, log: Log): () => void {
  const replace = async () => {
    try {
      const sdl = await readFile(file, 'utf8')
      if (sdl === engine.graph.supergraph.sdl) return
      engine.replace(sdl)
      log.info('a new supergraph is in force')
    } catch (error) {
      log.error({ err: error }, 'the new supergraph is refused, the old one stays')
    }
  }
  watchFile(file, { interval: LOOK_EVERY_MS, persistent: false }, replace)
  return () => unwatchFile(file, replace)
}
