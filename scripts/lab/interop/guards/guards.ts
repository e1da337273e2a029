import { execFile } from 'node:child_process'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../../../test/support/free-port.ts'
import type { Environment } from '../issuer.ts'
import { debianVersion, HERE, type Place, type Program, printed, pythonWith } from '../program.ts'
import { type Command, httpVerifier } from '../verifiers.ts'

/** A service that refuses what was taken back, in a language that signet-verifier does not speak. */
export interface Guard extends Program {
  /** Judges the tokens of a JSON list on standard input, and writes a list of what became of them. */
  judge(place: Place): Promise<Command>
  /** Runs the test vectors of the feed, and is done without an error when all of them are as expected. */
  vectors(place: Place, folder: string): Promise<Command>
  /** The service as its recipe says, on a port. */
  serve(place: Place, port: number): Promise<Command>
}

type Parts = Pick<Guard, 'name' | 'recipe' | 'install' | 'version' | 'judge' | 'vectors' | 'serve'>

export const GUARDS: readonly Guard[] = [
  python('Starlette', 'python/starlette_app.py', 'python3-starlette', 'uvicorn', (port) => [
    'uvicorn',
    ...['--port', String(port), '--log-level', 'warning', 'starlette_app:app'],
  ]),
  python('Flask', 'python/flask_app.py', 'python3-flask', 'gunicorn', (port) => [
    'gunicorn',
    ...['--bind', `127.0.0.1:${port}`, '--workers', '2', '--threads', '4', '--log-level', 'warning', 'flask_app:app'],
  ]),
  guard({
    name: 'net/http',
    recipe: 'go/service/main.go',
    install: 'apt-get install golang-go',
    version: async () => /go(\d\S*)/.exec(printed('go', ['version']) ?? '')?.[1],
    serve: async (place, port) => goProgram(place, '.', { PORT: String(port) }),
    judge: (place) => goProgram(place, './judge', {}),
    vectors: async (place, folder) => ({
      program: 'go',
      args: ['test', '-count=1', ...(await raceDetector()), './signet'],
      env: { ...goEnvironment(place), VECTORS: folder },
      cwd: await goFolder(place),
    }),
  }),
]

function guard(parts: Parts): Guard {
  return {
    ...parts,
    takesBack: true,
    async start(place) {
      const port = await freePort()
      return (await httpVerifier(await parts.serve(place, port), `http://127.0.0.1:${port}/`)).verifier
    },
  }
}

function python(
  name: string,
  recipe: string,
  debian: string,
  server: string,
  command: (port: number) => readonly [string, ...string[]],
): Guard {
  const run = ({ issuer }: Place, args: readonly string[]): Command => ({
    program: pythonWith('jwt') ?? 'python3',
    args,
    env: issuer.environment,
    cwd: join(HERE, 'python'),
  })
  return guard({
    name,
    recipe,
    install: `apt-get install ${debian} ${server} python3-jwt python3-cryptography`,
    version: async () => pythonWith('jwt') && printed(server, ['--version']) && debianVersion(debian)?.split('-')[0],
    async serve({ issuer }, port) {
      const [program, ...args] = command(port)
      return { program, args, env: issuer.environment, cwd: join(HERE, 'python') }
    },
    judge: async (place) => run(place, ['judge.py']),
    vectors: async (place, folder) => run(place, ['vectors.py', folder]),
  })
}

const copies = new WeakMap<Place, Promise<string>>()

/** A copy of the module, so that nothing is built among the sources. */
function goFolder(place: Place): Promise<string> {
  const folder = join(place.folder, 'go-service')
  const copy = copies.get(place) ?? cp(join(HERE, 'go/service'), folder, { recursive: true }).then(() => folder)
  copies.set(place, copy)
  return copy
}

function goEnvironment({ folder, issuer }: Place): Environment {
  return { ...issuer.environment, GOCACHE: join(folder, 'go-cache'), GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' }
}

async function goProgram(place: Place, what: string, more: Environment): Promise<Command> {
  const cwd = await goFolder(place)
  const program = join(place.folder, what === '.' ? 'go-service-program' : 'go-service-judge')
  await promisify(execFile)('go', ['vet', './...'], { cwd, env: goEnvironment(place) })
  await promisify(execFile)('go', ['build', '-o', program, what], { cwd, env: goEnvironment(place) })
  return { program, args: [], env: { ...place.issuer.environment, ...more } }
}

/** It needs a C compiler. */
async function raceDetector(): Promise<string[]> {
  return printed('gcc', ['--version']) === undefined ? [] : ['-race']
}
