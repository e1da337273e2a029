import { runGroup } from '../support/groups.ts'

await runGroup('thorough-timeouts')
