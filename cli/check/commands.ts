import { spawn } from 'node:child_process'
import path from 'node:path'

const ROOT = path.resolve(import.meta.dirname, '../..')

/** Runs one of the project's own programs; what it printed when it failed, null when it succeeded. */
export function findComplaints(command: readonly string[]): Promise<string | null> {
  const [program = '', ...args] = command
  return new Promise((resolve) => {
    const run = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const collect = (chunk: Buffer) => {
      output += chunk
    }
    run.stdout.on('data', collect)
    run.stderr.on('data', collect)
    run.once('error', (error) => resolve(error.message))
    run.once('close', (code) => resolve(code === 0 ? null : output.trim() || `exit ${code}`))
  })
}

/** A command of cli/, in a process of its own. */
export function script(file: string, ...args: string[]): string[] {
  return [process.execPath, '--import', 'tsx', file, ...args]
}

/** A program that a development dependency brings. */
export function bin(name: string, ...args: string[]): string[] {
  return [path.join(ROOT, 'node_modules', '.bin', name), ...args]
}
