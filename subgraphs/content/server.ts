import { readConfig } from '#platform/config.ts'
import { serve } from '#platform/serve.ts'
import { buildContent } from './app.ts'
import { contentConfig } from './config.ts'

const config = readConfig(contentConfig)
const { subgraph } = await buildContent(config)
await serve(subgraph, config)
