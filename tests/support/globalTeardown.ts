/** Stops what globalSetup started, and waits until it is gone. */
export default async function stopTestServices(): Promise<void> {
  const services = globalThis.testServicesProcess
  if (!services || services.exitCode !== null) return
  const ended = new Promise((resolve) => services.once('exit', resolve))
  services.stdin?.end()
  await ended
}
