import { readConfig } from '#platform/config.ts'
import { serve } from '#platform/serve.ts'
import { buildSmtpDoor } from './smtpDoor/app.ts'
import { smtpDoorConfig } from './smtpDoor/config.ts'

const config = readConfig(smtpDoorConfig)
await serve(buildSmtpDoor(config), config)
