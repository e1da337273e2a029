import { createGuard } from './guard.js'

const guard = createGuard(Deno.env.toObject())

const onListen = ({ port }) => console.log(`http://127.0.0.1:${port}`)
Deno.serve({ hostname: '127.0.0.1', port: 0, onListen }, (request) => guard.fetch(request))
