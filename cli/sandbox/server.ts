// The SMTP world of a local platform: what it sends ends here, and answers come back. Never a part of production.
import { readConfig } from '#platform/config.ts'
import { serve } from '#platform/serve.ts'
import { buildSandbox } from './app.ts'
import { sandboxConfig } from './config.ts'

const config = readConfig(sandboxConfig)
await serve(buildSandbox(config), config)
