import { runScript } from './cli/command-line.ts'
import { end, endAll, list } from './cli/sessions-commands.ts'

await runScript('sessions', { list, end, 'end-all': endAll })
