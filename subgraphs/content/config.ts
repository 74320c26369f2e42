import { key32, positiveInteger, redisUrl } from '#platform/config.ts'
import { subgraphConfig } from '#platform/subgraph/config.ts'

/** Settings of the content subgraph; README.md lists them. */
export const contentConfig = subgraphConfig('content', {
  asks: ['queue'],
  settings: {
    /** Wraps every tenant's keys: without it nothing stored can be read. */
    CONTENT_MASTER_KEY: key32,
    /** Largest mail taken in, in bytes of its raw form. */
    MAX_MESSAGE_BYTES: positiveInteger.default(25 * 1024 * 1024),
    /** Largest file that a user may send, in bytes. */
    MAX_UPLOAD_BYTES: positiveInteger.max(2 ** 31 - 1).default(100 * 1024 * 1024),
    REDIS_URL: redisUrl.optional(),
  },
})
