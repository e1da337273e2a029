import { globSync, readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'

// The files of scripts/deploy/, read for the test that holds them against the code.

export const ROOT = new URL('../../', import.meta.url)
export const FOLDER = new URL('scripts/deploy/', ROOT)
export const read = (file: string) => readFileSync(new URL(file, FOLDER), 'utf8')
export type Part = 'server' | 'gate'
export type Env = Record<string, string>
interface Service {
  readonly image: string
  readonly user: string
  readonly read_only: boolean
  readonly privileged?: boolean
  readonly cap_drop: string[]
  readonly security_opt: string[]
  readonly environment: Env
  readonly ports?: string[]
  readonly secrets?: (string | { source: string })[]
  readonly stop_grace_period?: string
  readonly healthcheck?: object
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}
interface Container {
  readonly image: string
  readonly env: { readonly name: string; readonly value: string }[]
  readonly ports: { readonly name: string; readonly containerPort: number }[]
  readonly securityContext: object
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
  readonly startupProbe?: Probe
  readonly volumeMounts?: { readonly name: string; readonly mountPath: string; readonly readOnly: boolean }[]
}
interface Labelled {
  readonly matchLabels: Env
}
interface Manifest {
  readonly kind: string
  readonly spec: {
    readonly replicas: number
    readonly minAvailable: number
    readonly selector: Labelled & { readonly app: string }
    readonly podSelector: Labelled
    readonly strategy: object
    readonly template: {
      readonly metadata: { readonly labels: Env }
      readonly spec: {
        readonly terminationGracePeriodSeconds: number
        readonly automountServiceAccountToken: boolean
        readonly securityContext: object
        readonly containers: [Container]
        readonly volumes?: { readonly secret: { readonly defaultMode: number } }[]
      }
    }
  }
}

/** Kubernetes and Compose read YAML 1.1: `0400` is octal, and `<<` merges. */
function yaml<Document>(file: string): Document[] {
  return parseAllDocuments(read(file), { version: '1.1', merge: true }).map((document) => {
    if (document.errors.length + document.warnings.length > 0)
      throw new Error(`${file}: ${[...document.errors, ...document.warnings].join('; ')}`)
    return document.toJS() as Document
  })
}

export const envFile = (text: string): Env =>
  Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]))
export const stages = Object.fromEntries(
  read('Dockerfile')
    .split(/^(?=FROM )/m)
    .map((text) => [/^FROM \S+ AS (\w+)/.exec(text)?.[1] ?? '', text]),
)
export const imageEnv = (stage: string): Env =>
  Object.fromEntries(
    ['base', stage].flatMap((name) =>
      [...(stages[name] ?? '').matchAll(/^ENV (.*)$/gm)].flatMap(([, pairs = '']) =>
        pairs.split(' ').map((pair) => pair.split('=') as [string, string]),
      ),
    ),
  )
export const [compose] = yaml<{ services: Record<string, Service>; secrets: Record<string, { file: string }> }>(
  'compose.yaml',
)
export const services = compose?.services ?? {}
export const manifests = {
  server: yaml<Manifest>('kubernetes/signet.yaml'),
  gate: yaml<Manifest>('kubernetes/signet-gate.yaml'),
}
export const deployment = (part: Part) => manifests[part].find(({ kind }) => kind === 'Deployment')?.spec
export const pod = (part: Part) => deployment(part)?.template.spec
export const podEnv = (part: Part): Env =>
  Object.fromEntries((pod(part)?.containers[0].env ?? []).map(({ name, value }) => [name, value]))
export const units = globSync('systemd/*.service', { cwd: FOLDER.pathname }).sort()

export const environments: Record<Part, Record<string, Env>> = {
  server: {
    'compose.yaml': services.server?.environment ?? {},
    'kubernetes/signet.yaml': podEnv('server'),
    'systemd/signet.env': envFile(read('systemd/signet.env')),
  },
  gate: {
    'compose.yaml': services.gate?.environment ?? {},
    'kubernetes/signet-gate.yaml': podEnv('gate'),
    'systemd/signet-gate.env': envFile(read('systemd/signet-gate.env')),
  },
}
