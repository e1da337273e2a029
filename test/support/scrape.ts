import type { Metrics } from '../../src/observability/metrics.ts'

/**
 * The value of a series by its whole text, for example `signet_keys{phase="current"}`; undefined when there is none.
 */
export type Page = ReadonlyMap<string, number>

export function parsePage(text: string): Page {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const [, series = '', value = ''] = /^(\S+?(?:\{.*\})?) (\S+)$/.exec(line) ?? []
      return [series, value === 'Nan' ? Number.NaN : Number(value)]
    }),
  )
}

export async function scrape({ registry }: Metrics): Promise<Page> {
  return parsePage(await registry.metrics())
}

/** Names of series as a query has them; a histogram has three. */
export function seriesNames(page: Page): Set<string> {
  return new Set([...page.keys()].map((series) => series.replace(/\{.*/, '')))
}
