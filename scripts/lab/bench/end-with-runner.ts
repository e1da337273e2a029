// Loaded into every process of a run. When the runner is gone, even by SIGKILL, the IPC channel closes, and this
// process ends too.
process.once('disconnect', () => process.exit(1))
