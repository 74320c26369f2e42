import { testServices } from './postgres.ts'

/** The run's Redis. All test files share it: use keys of your own. */
export function testRedisUrl(): string {
  return testServices().redisUrl
}
