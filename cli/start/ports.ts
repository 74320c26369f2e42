import { isPortFree } from '#platform/local/freePort.ts'
import { type LocalPorts, PORT_SETTINGS } from '#platform/local/settings.ts'
import { StartProblem } from '#platform/local/startProblem.ts'

/** @throws StartProblem naming every port that is taken, and the setting that moves it */
export async function checkPorts(ports: LocalPorts, needed: (keyof LocalPorts)[]): Promise<void> {
  const numbers = needed.map((name) => ports[name])
  const twice = needed.filter((name) => numbers.indexOf(ports[name]) !== numbers.lastIndexOf(ports[name]))
  if (twice.length > 0) {
    throw new StartProblem(
      `${twice.map((name) => `${PORT_SETTINGS[name]}=${ports[name]}`).join(' and ')} are the same port`,
    )
  }
  const free = await Promise.all(numbers.map(isPortFree))
  const taken = needed.filter((_name, index) => !free[index])
  if (taken.length === 0) return
  const lines = taken.map(
    (name) => `port ${ports[name]} is taken by another program: set ${PORT_SETTINGS[name]} to a free one`,
  )
  throw new StartProblem(lines.join('\n'))
}
