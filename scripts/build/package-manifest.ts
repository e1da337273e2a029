/** A package that is made of a folder of src/ and of what that imports. */
export interface PublishedPackage {
  readonly name: string
  readonly description: string
  readonly keywords: readonly string[]
  /** The folder below src/. Its pages are those of the package, and its tsconfig.json lists the entries. */
  readonly folder: string
  /** The files that can be imported, by subpath: names in the folder, without extension. */
  readonly entries: Readonly<Record<`.${string}`, string>>
  /** The same for runtimes without the modules of Node, where that is another file. */
  readonly webEntries?: Readonly<Record<string, string>>
  /** Its commands: names of files in the folder, without extension. */
  readonly commands?: Readonly<Record<string, string>>
  /** The Node versions it runs on. */
  readonly node: string
  /** Names; the versions are those of our own package.json. */
  readonly dependencies: readonly string[]
  /** Packages that some users have, and that only a part of the entries needs. */
  readonly optionalPeers: Readonly<Record<string, string>>
  /**
   * Present for a package that runs in browsers. It has no CommonJS, and two files more that hold all of the main
   * entry, minified: an ES module, and a classic script that makes a global variable of this name.
   */
  readonly globalName?: string
}

interface Project {
  readonly version: string
  readonly license: string
  readonly dependencies: Readonly<Record<string, string>>
}

/** The files that hold all of a package for browsers: an ES module, and a classic script. */
export const bundlesOf = ({ name }: PublishedPackage) => ({ esm: `${name}.mjs`, iife: `${name}.js` })

/** The package.json of a package whose ES modules are in esm/, and whose CommonJS modules, if any, are in cjs/. */
export function packageManifest(one: PublishedPackage, project: Project): object {
  const { name, description, keywords, folder, entries, node, optionalPeers } = one
  const pairs = Object.entries(entries)
  const isForBrowsers = one.globalName !== undefined
  const format = isForBrowsers ? 'esm' : 'cjs'
  const main = `./${format}/${folder}/${entries['.']}`
  const bundles = isForBrowsers ? Object.values(bundlesOf(one)) : []
  return {
    name,
    version: project.version,
    description,
    keywords,
    license: project.license,
    type: 'module',
    engines: { node },
    sideEffects: false,
    main: `${main}.js`, // this line and the next two are for tools that do not know `exports`
    types: `${main}.d.ts`,
    typesVersions: { '*': typesBySubpath(one) },
    exports: {
      ...Object.fromEntries(pairs.map(([path, file]) => [path, conditions(one, path, file)])),
      ...Object.fromEntries(bundles.map((file) => [`./${file}`, `./${file}`])),
      './package.json': './package.json',
    },
    ...(one.commands !== undefined && {
      bin: Object.fromEntries(Object.entries(one.commands).map(([name, file]) => [name, `./esm/${folder}/${file}.js`])),
    }),
    files: ['*.md', 'esm', ...(isForBrowsers ? bundles : ['cjs'])],
    dependencies: Object.fromEntries(one.dependencies.map((needed) => [needed, project.dependencies[needed]])),
    peerDependencies: optionalPeers,
    peerDependenciesMeta: Object.fromEntries(Object.keys(optionalPeers).map((peer) => [peer, { optional: true }])),
  }
}

/**
 * `module-sync` is what Node chooses for `require()` when it can require ES modules (20.19, 22.12 and newer). Both ways
 * then lead to the same modules: with two copies, `instanceof SignetError` would depend on who loaded the package how.
 */
function conditions({ folder, globalName, webEntries }: PublishedPackage, path: string, name: string): object {
  const file = `${folder}/${name}`
  if (globalName !== undefined) return { types: `./esm/${file}.d.ts`, default: `./esm/${file}.js` }
  const anywhere = {
    import: { types: `./esm/${file}.d.ts`, default: `./esm/${file}.js` },
    'module-sync': `./esm/${file}.js`,
    require: { types: `./cjs/${file}.d.ts`, default: `./cjs/${file}.js` },
  }
  const web = webEntries?.[path]
  if (web === undefined) return anywhere
  const withoutNode = { types: `./esm/${folder}/${web}.d.ts`, default: `./esm/${folder}/${web}.js` }
  // Bun and Deno say `node`, too; bundlers for Workers and for edge runtimes do not.
  return { node: anywhere, ...withoutNode }
}

/** Tells moduleResolution `node10` where the types of `name/subpath` are. */
function typesBySubpath({ entries, folder, globalName }: PublishedPackage): object {
  const format = globalName === undefined ? 'cjs' : 'esm'
  const subpaths = Object.entries(entries).filter(([path]) => path !== '.')
  return Object.fromEntries(subpaths.map(([path, file]) => [path.slice(2), [`./${format}/${folder}/${file}.d.ts`]]))
}
