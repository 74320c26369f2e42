import type { Context } from '../context.ts'
import type { FileLink } from '../services/files/fileLinks.ts'

/** How long an address to download from is good. */
const DOWNLOAD_MS = 300_000

/** Where the caller, and whoever is given the address, can have something of the caller's tenant; null without one. */
export function downloadPath({ caller, links }: Context, does: FileLink['does'], target: string): string | null {
  const { tenantId, userId } = caller
  if (tenantId === null) return null
  return links.sign({ does, tenantId, userId, target, expiresAt: new Date(Date.now() + DOWNLOAD_MS) })
}
