import { readConfig } from '#platform/config.ts'
import { serve } from '#platform/serve.ts'
import { buildOltp } from './app.ts'
import { oltpConfig } from './config.ts'

const config = readConfig(oltpConfig)
const { subgraph } = await buildOltp(config)
await serve(subgraph, config)
