// Started by `npm run bench -- --all`. JavaScript, like its neighbours, whose packages are not in our install.
// A real Redis that keeps nothing on disk, for as long as this process lives.
import { spawn } from 'node:child_process'

const { port } = JSON.parse(process.argv[2])
const redis = spawn(
  'redis-server',
  ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--daemonize', 'no'],
  { stdio: ['ignore', 'ignore', 'inherit'] },
)
process.on('exit', () => redis.kill())
process.once('SIGTERM', () => process.exit(0))
redis.once('error', (error) => {
  process.stderr.write(error.message)
  process.exit(1)
})
redis.once('exit', (code) => process.exit(code ?? 1))
