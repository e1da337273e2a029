// Loaded into every process of a run: when the runner is gone, even by SIGKILL, its end of the channel closes, and no server stays behind.
process.once('disconnect', () => process.exit(1))
