import { readConfig } from '#platform/config.ts'
import { serve } from '#platform/serve.ts'
import { workerConfig } from './config.ts'
import { buildWorker } from './workerApp.ts'

const config = readConfig(workerConfig)
await serve(buildWorker(config), config)
