/** Waiting that somebody may end. A wake-up that comes before the wait ends it too: none is lost in between. */
export class Pause {
  #isWoken = false
  #end = () => {}

  wake(): void {
    this.#isWoken = true
    this.#end()
  }

  /** Forgets wake-ups that came before: what they were for is looked at now. */
  rearm(): void {
    this.#isWoken = false
  }

  /** Whether somebody ended it before its time. */
  async wait(milliseconds: number): Promise<boolean> {
    if (this.#isWoken) return true
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      this.#end = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    return this.#isWoken
  }
}
