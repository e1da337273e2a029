import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { PageStart } from './page.ts'

const PAGE = fileURLToPath(new URL('page.ts', import.meta.url))
const HTML = '<!doctype html><meta charset="utf-8"><title>tab</title><script type="module" src="/page.js"></script>'

/** Serves the page of the tabs on a port of its own: another origin of the same site as the issuer. */
export async function startPageServer(start: () => PageStart) {
  const { outputFiles } = await build({ entryPoints: [PAGE], bundle: true, format: 'esm', write: false })
  const script = outputFiles[0]?.text ?? ''
  const server = createServer(({ url }, response) => {
    const isScript = url === '/page.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.setHeader('cache-control', 'no-store')
    response.end(isScript ? `globalThis.start = ${JSON.stringify(start())}\n${script}` : HTML)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    origin: `http://localhost:${port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
