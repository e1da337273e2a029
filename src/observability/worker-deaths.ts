/** Counted by the primary only. */
export const WORKER_DEATHS = {
  name: 'signet_worker_deaths_total',
  help: 'Workers that ended unasked and were replaced',
}
