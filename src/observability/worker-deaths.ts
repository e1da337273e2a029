/** Only the primary of several workers counts it. */
export const WORKER_DEATHS = {
  name: 'signet_worker_deaths_total',
  help: 'Workers that ended unasked and were replaced',
}
