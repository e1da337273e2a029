// Loaded before each test file.
import '../../src/require-node.js'

// tap writes down what a test has loaded, for `tap --changed`: half a second for each file that loads the server, a tenth of the
// suite. There is no option to leave it out; a tap that is built otherwise goes on writing.
const names = new URL('../../node_modules/@tapjs/processinfo/dist/esm/get-main.js', import.meta.url)
const { fakeMains } = await import(names).catch(() => ({}))
if (Array.isArray(fakeMains)) fakeMains.includes = () => true
