const { SyntheticModule } = require('node:vm')
const { default: JestRuntime } = require('jest-runtime')

/** Specifiers of what npm installs: neither ours, nor Node's, nor Jest's. */
const isPackage = (specifier) => /^[a-z@]/.test(specifier) && !/^(node:|@jest\/)/.test(specifier)

/**
 * Jest's way of loading modules, but for packages: those Node loads itself, once for a worker and all its test files.
 * Jest loads everything anew for each file, and packages take most of that time. What is ours is still loaded anew.
 * All of it runs among Node's own globals, as it does outside of tests: an Error of a package is an Error of ours.
 */
class Runtime extends JestRuntime {
  constructor(config, environment, ...parts) {
    super(config, environment, ...parts)
    shareGlobals(environment.global)
    const loader = this.esmLoader
    const resolveModule = loader.resolveModule.bind(loader)
    const packages = new Map()
    loader.getContext = () => undefined
    loader.resolveModule = (specifier, from, context) => {
      if (!isPackage(specifier)) return resolveModule(specifier, from, context)
      if (!packages.has(specifier)) packages.set(specifier, loadPackage(specifier))
      return packages.get(specifier)
    }
  }
}

/** What Jest itself runs, `expect` for one, has globals of its own: it is given ours, to know a String when it sees one. */
function shareGlobals(target) {
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (/^[A-Z]/.test(name) && typeof globalThis[name] === 'function') target[name] = globalThis[name]
  }
}

async function loadPackage(specifier) {
  const exported = await import(specifier)
  const names = Object.keys(exported)
  const module = new SyntheticModule(names, () => {
    for (const name of names) module.setExport(name, exported[name])
  })
  await module.link(() => {})
  await module.evaluate()
  return module
}

module.exports = { __esModule: true, default: Runtime }
