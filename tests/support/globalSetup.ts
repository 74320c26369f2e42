import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'

declare global {
  var testServicesProcess: ChildProcess | undefined
}

/**
 * Starts the run's PostgreSQL and Redis (tests/support/services.ts) and tells test files of them in TEST_SERVICES.
 * Imports nothing of ours: Jest loads this file its own way.
 */
export default async function startTestServices(jest: { rootDir: string }): Promise<void> {
  const services = spawn(process.execPath, ['--import', 'tsx', path.join(jest.rootDir, 'tests/support/services.ts')], {
    cwd: jest.rootDir,
    // Services must not inherit what Jest itself is run with.
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  globalThis.testServicesProcess = services
  process.env.TEST_SERVICES = await new Promise<string>((resolve, reject) => {
    let output = ''
    services.stdout.on('data', (chunk) => {
      output += chunk
      if (output.endsWith('\n')) resolve(output.trim())
    })
    services.once('exit', () => reject(new Error('the test services did not start; see above')))
    services.once('error', reject)
  })
}
