/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  runtime: '<rootDir>/tests/support/runtime.cjs',
  roots: ['<rootDir>/tests'],
  testSequencer: '<rootDir>/tests/support/sequencer.cjs',
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
  globalSetup: '<rootDir>/tests/support/globalSetup.ts',
  globalTeardown: '<rootDir>/tests/support/globalTeardown.ts',
  testTimeout: 60_000,
  maxWorkers: 2,
  // Modules loaded as ESM are not let go from one file to the next: a worker that has grown is replaced.
  workerIdleMemoryLimit: '1GB',
}
