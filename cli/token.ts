import { CliProblem } from './commandLine.ts'
import { parseTokenArguments, USAGE } from './token/arguments.ts'
import { printableToken } from './token/print.ts'

try {
  const request = parseTokenArguments(process.argv.slice(2))
  process.stdout.write(request === 'help' ? USAGE : `${await printableToken(request)}\n`)
} catch (error) {
  if (!(error instanceof CliProblem)) throw error
  process.stderr.write(`${error.message}\n(npm run -s token -- --help)\n`)
  process.exitCode = 2
}
