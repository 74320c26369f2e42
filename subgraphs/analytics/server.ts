import { readConfig } from '#platform/config.ts'
import { serve } from '#platform/serve.ts'
import { buildAnalytics } from './app.ts'
import { analyticsConfig } from './config.ts'

const config = readConfig(analyticsConfig)
await serve(await buildAnalytics(config), config)
