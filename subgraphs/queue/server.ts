import { readConfig } from '#platform/config.ts'
import { serve } from '#platform/serve.ts'
import { buildQueue } from './app.ts'
import { queueConfig } from './config.ts'

const config = readConfig(queueConfig)
const { subgraph } = await buildQueue(config)
await serve(subgraph, config)
