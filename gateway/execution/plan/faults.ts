import { isObject } from '#platform/execution/json.ts'
import type { Fault } from '../execution.ts'

type Path = (string | number)[]

/** The errors of one answer, of whatever form, with the paths that `placesOf` gives each: one fault per place. */
export function readFaults(
  serviceName: string,
  errors: unknown,
  placesOf: (path: Path) => (Path | undefined)[],
): Fault[] {
  if (!Array.isArray(errors)) return []
  return errors.flatMap((error: unknown) => {
    const { message, path, extensions } = isObject(error) ? error : {}
    const fault = {
      message: typeof message === 'string' ? message : 'an error without a message',
      extensions: { ...(isObject(extensions) && extensions), serviceName },
    }
    return isPath(path) ? placesOf(path).map((place) => (place ? { ...fault, path: place } : fault)) : [fault]
  })
}

function isPath(path: unknown): path is Path {
  return Array.isArray(path) && path.every((part) => typeof part === 'string' || typeof part === 'number')
}
