import { runGroup } from '../support/groups.ts'

await runGroup('fast-others')
