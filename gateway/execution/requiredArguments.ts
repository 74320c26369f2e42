export function separateRequiredArguments(sdl: string): string {
  return sdl
}
