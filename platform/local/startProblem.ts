/** Something the person at the terminal can put right. Shown as its message alone, without a stack. */
export class StartProblem extends Error {
  override name = 'StartProblem'
}
