const path = require('node:path')
const { default: Sequencer } = require('@jest/test-sequencer')

/** What takes minutes by its own clock begins first: at the end one worker would wait for it with nothing to do. */
const LONGEST = ['federation/campaign/world', 'start/start', 'isolation/everyDoor', 'operations/', 'faults/']

class LongestFirst extends Sequencer {
  sort(tests) {
    const rank = (test) => {
      const name = path.relative(path.join(test.context.config.rootDir, 'tests'), test.path)
      const index = LONGEST.findIndex((start) => name.startsWith(start))
      return index < 0 ? LONGEST.length : index
    }
    return super.sort(tests).sort((a, b) => rank(a) - rank(b))
  }
}

module.exports = { __esModule: true, default: LongestFirst }
