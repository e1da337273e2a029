import { spawnSync } from 'node:child_process'
import { globSync, writeFileSync } from 'node:fs'
import t from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { loadConfig } from '../../src/config/config.ts'
import { Settings } from '../../src/config/settings.ts'
import { GATE_SETTINGS, readGateSettings } from '../../src/verifier/gate/settings.ts'
import {
  compose,
  deployment,
  envFile,
  environments,
  FOLDER,
  imageEnv,
  manifests,
  pod,
  podEnv,
  ROOT,
  read,
  services,
  stages,
  units,
} from '../support/deployment.ts'

// The files of scripts/deploy/ can't be run here as they are, so what they claim is held against the code: settings,
// ports, users, times, paths.

/** Seconds that a server may take after SHUTDOWN_DELAY: scripts/README.md. */
const AFTER_DELAY_SECONDS = 15
const FROM_ELSEWHERE = ['NODE_OPTIONS']

t.test('each environment of a server is one that it starts with', async (t) => {
  const known = [...Object.keys(Settings.properties), ...FROM_ELSEWHERE]
  for (const [file, env] of Object.entries(environments.server)) {
    t.same(
      Object.keys({ ...imageEnv('server'), ...env }).filter((name) => !known.includes(name)),
      [],
      file,
    )
    const config = loadConfig({ env, serves: true })
    t.equal(config.NODE_ENV, 'production', file)
    t.ok(config.TRUST_PROXY, `${file}: it stands behind a proxy`)
  }
})

t.test('each environment of a gate is one that it starts with', async (t) => {
  for (const [file, env] of Object.entries(environments.gate)) {
    t.same(
      Object.keys(env).filter((name) => !(name in GATE_SETTINGS)),
      [],
      file,
    )
    t.doesNotThrow(() => readGateSettings(env), file)
  }
})

t.test('no secret stands in a file', async (t) => {
  for (const [name, { environment = {}, secrets = [] }] of Object.entries(services)) {
    const plain = Object.keys(environment).filter((key) => /PASSWORD$|DATABASE_URL|SECRET$/.test(key))
    t.same(plain, [], name)
    for (const secret of secrets)
      t.ok(compose?.secrets[typeof secret === 'string' ? secret : secret.source]?.file, `${name}: its secret is a file`)
  }
  for (const part of ['server', 'gate'] as const)
    t.notMatch(JSON.stringify(manifests[part]), /DATABASE_URL|"kind":"Secret"|postgres:/)
})

t.test('every image is pinned, and ours have the version of this package', async (t) => {
  const images = [
    ...[...read('Dockerfile').matchAll(/^FROM (\S+)/gm)]
      .map(([, image = '']) => image)
      .filter((name) => name !== 'base'),
    ...Object.values(services).map(({ image }) => image),
    ...(['server', 'gate'] as const).map((part) => pod(part)?.containers[0].image ?? ''),
  ]
  t.ok(images.length >= 8)
  for (const image of images) {
    t.match(image, /:\d+\.\d+(\.\d+)?(-[\w.]+)*$/)
    if (/\bsignet/.test(image)) t.ok(image.endsWith(`:${packageJson.version}`), image)
  }
})

t.test('the Dockerfile copies what is there, and runs as nobody special', async (t) => {
  const allowed = read('Dockerfile.dockerignore').split('\n')
  t.ok(allowed.includes('*'), 'nothing goes to the builder that is not named')
  const sources = [...(stages.build ?? '').matchAll(/^COPY (?!--)(.*) \S+$/gm)].flatMap(([, list = '']) =>
    list.split(' '),
  )
  for (const source of sources) {
    t.equal(globSync(source, { cwd: ROOT.pathname }).length, 1, source)
    const line = source.replace(/^scripts\/[\w-]+\.ts$/, 'scripts/*.ts')
    t.ok(allowed.includes(`!${line}`), `${source} goes to the builder`)
  }
  const [, compiled = ''] = /for \(const file of \[(.*)\]\)/.exec(stages.build ?? '') ?? []
  t.ok(compiled.includes("'app'"))
  for (const [, file] of compiled.matchAll(/'([^']+)'/g))
    t.equal(globSync(`src/${file}.ts`, { cwd: ROOT.pathname }).length, 1, `${file} is compiled ahead`)
  const scripts = globSync('scripts/*.ts', { cwd: ROOT.pathname })
  t.same(
    sources.filter((source) => /^scripts\/\w+\.ts$/.test(source)).sort(),
    scripts.sort(),
    'all scripts of operators',
  )
  t.equal([...(stages.base ?? '').matchAll(/^USER (\S+)/gm)].at(-1)?.[1], '1000:1000')
  for (const name of ['server', 'gate']) {
    const stage = stages[name] ?? ''
    const { PORT: port } = imageEnv(name)
    t.match(stage, `EXPOSE ${port}\n`)
    t.match(stage, `fetch('http://127.0.0.1:${port}/health/ready')`)
    t.notMatch(stage, /^USER/m)
    for (const [, file = ''] of stage.matchAll(/"((?:\.\/)?src\/[^"]+)"/g))
      t.equal(globSync(file, { cwd: ROOT.pathname }).length, 1, file)
  }
})

t.test('each container of the compose file is closed in', async (t) => {
  t.same(Object.keys(services).sort(), ['gate', 'keys', 'postgres', 'server'])
  for (const [name, service] of Object.entries(services)) {
    t.equal(service.read_only, true, name)
    t.same(service.cap_drop, ['ALL'], name)
    t.same(service.security_opt, ['no-new-privileges:true'], name)
    t.notOk(service.privileged, name)
    t.match(service.user, /^[1-9]\d*:[1-9]\d*$/, name)
    for (const port of service.ports ?? []) {
      t.match(port, /^127\.0\.0\.1:/, `${name}: only this machine reaches it`)
      t.equal(port.split(':').at(-1), service.environment.PORT, name)
    }
  }
  t.ok(services.postgres?.healthcheck)
  const delay = loadConfig({ env: services.server?.environment ?? {} }).SHUTDOWN_DELAY
  t.equal(services.server?.stop_grace_period, `${delay + AFTER_DELAY_SECONDS}s`)
})

t.test('each pod is closed in, asked in the right place, and has time to end', async (t) => {
  for (const part of ['server', 'gate'] as const) {
    const spec = pod(part)
    const [container] = spec?.containers ?? []
    t.match(spec?.securityContext, { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } })
    t.equal(spec?.automountServiceAccountToken, false)
    t.match(container?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      privileged: false,
      capabilities: { drop: ['ALL'] },
    })
    t.match(container?.livenessProbe.httpGet, { path: '/health/live', port: 'http' })
    t.match(container?.readinessProbe.httpGet, { path: '/health/ready', port: 'http' })
    const ports = Object.fromEntries((container?.ports ?? []).map((port) => [port.name, String(port.containerPort)]))
    t.same(ports, { http: podEnv(part).PORT, metrics: podEnv(part).METRICS_PORT })
    t.match(deployment(part)?.strategy, { rollingUpdate: { maxUnavailable: 0 } })
    t.ok((deployment(part)?.replicas ?? 0) > 1)
    const labels = deployment(part)?.template.metadata.labels
    for (const { kind, spec: rest } of manifests[part]) {
      const selector = kind === 'Service' ? rest.selector : (rest.podSelector ?? rest.selector).matchLabels
      t.same(selector, labels, `${kind} of the ${part}`)
      if (kind === 'PodDisruptionBudget') t.ok(rest.minAvailable < (deployment(part)?.replicas ?? 0))
    }
  }
  const delay = Number(podEnv('server').SHUTDOWN_DELAY)
  t.equal(pod('server')?.terminationGracePeriodSeconds, delay + AFTER_DELAY_SECONDS)
})

t.test('a pod reads its secrets as files that only its group may read', async (t) => {
  const { securityContext, volumes = [], containers } = pod('server') ?? {}
  t.match(securityContext, { fsGroup: 1000 })
  t.same(
    volumes.map(({ secret }) => secret.defaultMode),
    [0o400, 0o400],
  )
  const mounts = containers?.[0].volumeMounts ?? []
  t.same(
    mounts.map(({ mountPath }) => mountPath),
    [podEnv('server').KEYS_DIR, '/app/.env'],
  )
  for (const mount of mounts) t.equal(mount.readOnly, true)
  t.notOk('subPath' in (mounts[0] ?? {}), 'a mount with subPath would not see a rotation')
})

t.test('each systemd unit runs what is there, with what it reads, as nobody special', async (t) => {
  t.equal(units.length, 3)
  const hardening = units.map((unit) => /^NoNewPrivileges=(?:.+\n)+/m.exec(read(unit))?.[0].split('\n'))
  t.ok((hardening[0]?.length ?? 0) > 25)
  for (const lines of hardening) t.same(lines, hardening[0], 'all have the same')
  for (const unit of units) {
    const text = read(unit)
    t.match(text, /^(User=signet|DynamicUser=yes)$/m, unit)
    for (const line of ['NoNewPrivileges=yes', 'ProtectSystem=strict', 'CapabilityBoundingSet=', 'PrivateDevices=yes'])
      t.ok(text.split('\n').includes(line), `${unit}: ${line}`)
    const env = /^EnvironmentFile=\/etc\/signet\/(\S+)$/m.exec(text)?.[1]
    t.equal(globSync(`systemd/${env}`, { cwd: FOLDER.pathname }).length, 1, `${unit}: ${env}`)
    const programs = [...text.matchAll(/^ExecStart=.* ((?:src|scripts)\/\S+\.ts)/gm)].map(([, file = '']) => file)
    t.ok(programs.length > 0)
    for (const file of programs) t.equal(globSync(file, { cwd: ROOT.pathname }).length, 1, `${unit}: ${file}`)
    const [, page = ''] = /^Documentation=file:\/\/\/opt\/signet\/(\S+)$/m.exec(text) ?? []
    t.equal(globSync(page, { cwd: ROOT.pathname }).length, 1, `${unit}: ${page}`)
  }
  const { SHUTDOWN_DELAY: delay } = loadConfig({ env: envFile(read('systemd/signet.env')) })
  t.match(read('systemd/signet.service'), `TimeoutStopSec=${delay + AFTER_DELAY_SECONDS}\n`)
})

const analyze = (...args: string[]) => spawnSync('systemd-analyze', args, { encoding: 'utf8' })
const noSystemd = analyze('--version').status !== 0 && 'systemd is not installed'

t.test('systemd finds nothing to complain about', { skip: noSystemd }, async (t) => {
  const folder = t.testdir({})
  const files = globSync('systemd/*.{service,timer}', { cwd: FOLDER.pathname }).map((file) => {
    const copy = `${folder}/${file.slice('systemd/'.length)}`
    // The program has to be there.
    writeFileSync(copy, read(file).replaceAll('/opt/signet/node_modules/.bin/node', process.execPath))
    return copy
  })
  const { stderr, status } = analyze('verify', ...files)
  t.same({ stderr, status }, { stderr: '', status: 0 })
  // From 0, closed, to 100, open.
  for (const file of files.filter((name) => name.endsWith('.service'))) {
    const { stdout, status: judged } = analyze('security', '--offline=true', '--threshold=20', file)
    t.equal(judged, 0, stdout)
  }
})

t.test('nginx replaces the headers of clients, and waits longer than the longest poll', async (t) => {
  const proxy = read('nginx/signet-proxy.conf')
  t.match(proxy, 'proxy_set_header X-Forwarded-For $remote_addr;')
  t.notMatch(proxy, 'proxy_add_x_forwarded_for')
  t.match(read('nginx/signet-http.conf'), `server 127.0.0.1:${environments.server['systemd/signet.env']?.PORT};`)
  for (const file of ['nginx/signet-host.conf', 'nginx/signet-path.conf']) {
    const text = read(file)
    const locations = [...text.matchAll(/^ *location .*?^ *}$/gms)].map(([location]) => location)
    t.ok(locations.length > 3)
    for (const location of locations) t.match(location, 'include /etc/nginx/signet/signet-proxy.conf;')
    const feed = locations.find((location) => location.includes('/.well-known/revocations {')) ?? ''
    for (const name of ['proxy_read_timeout', 'proxy_cache_lock_timeout', 'proxy_cache_lock_age'])
      t.ok(Number(new RegExp(`${name} (\\d+)s;`).exec(feed)?.[1]) > 30, `${file}: ${name}`)
    for (const location of locations.filter((one) => one.includes('proxy_cache ')))
      t.match(location, 'proxy_cache_key $host$request_uri;', 'the query is in the key')
  }
})
