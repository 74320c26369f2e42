import { readConfig } from '#platform/config.ts'
import { serve } from '#platform/serve.ts'
import { buildGateway } from './app.ts'
import { gatewayConfig } from './config.ts'

const config = readConfig(gatewayConfig)
await serve(await buildGateway(config), config)
