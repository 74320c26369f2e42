/** `npm run bench`: lists the benches. `npm run bench NAME…`: runs them, one after the other. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const folder = new URL('../bench/', import.meta.url)
const benches = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => entry.name.slice(0, -'.ts'.length))
  .sort()

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !benches.includes(name))
if (unknown.length > 0) {
  console.error(`no such bench: ${unknown.join(', ')}`)
  process.exitCode = 1
}
if (wanted.length === 0 || unknown.length > 0) {
  console.log(`npm run bench NAME…\n\n${benches.map((name) => `  ${name.padEnd(12)} ${describe(name)}`).join('\n')}`)
} else {
  for (const name of wanted) run(name)
}

/** The first line of a bench's opening comment. */
function describe(name: string): string {
  const text = readFileSync(new URL(`${name}.ts`, folder), 'utf8')
  return /^\/\*\*\s*\*?\s*(.+)$/m.exec(text)?.[1]?.trim() ?? ''
}

function run(name: string): void {
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', new URL(`${name}.ts`, folder).pathname], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
