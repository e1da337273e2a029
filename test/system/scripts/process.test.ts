import t from 'tap'
import { PASSWORD } from '../../support/app.ts'
import { type Finished, isolated, run } from '../../support/service.ts'

// Each script once as the process that an operator starts: what it prints, reads and exits with. The other tests of
// this folder run all of them in one process.

const SCRIPTS: [program: string, args: string, stdin: string, expected: Partial<Record<keyof Finished, unknown>>][] = [
  [
    'keys',
    'rotate',
    '',
    { code: 0, stderr: '', stdout: /^key [\w-]{43} is the first; it signs from now on\nmade standby key [^\n]*\n$/ },
  ],
  ['keys', 'shred', '', { code: 2, stdout: '', stderr: /there is no command "shred"/ }],
  ['accounts', 'create --email a@b.co', `${PASSWORD}\nx`, { code: 0, stderr: '', stdout: /^created a@b\.co \(acc_/ }],
  ['accounts', 'create --email c@d.co', '', { code: 1, stdout: '', stderr: /first line of standard input is empty/ }],
  ['clients', 'create --name x', '', { code: 0, stderr: '', stdout: /^created x\nclient_id {6}client_/ }],
  ['sessions', 'end-all', '', { code: 1, stderr: '', stdout: /^would end 0 sessions/ }],
  ['sessions', 'end-all --yes', '', { code: 0, stderr: '', stdout: /^ended 0 sessions/ }],
  ['lab/fuzz/run', '--help', '', { code: 0, stdout: /guard/ }],
]

t.test('the scripts as processes, on one folder', async (t) => {
  const env = await isolated(t)
  for (const [program, args, stdin, expected] of SCRIPTS) {
    const finished = await run(t, `scripts/${program}.ts`, args.split(' '), env, stdin).finished
    t.match(finished, { signal: null, ...expected }, `${program} ${args}`)
  }
})
