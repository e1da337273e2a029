import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { createGuard } from './guard.js'

const guard = createGuard(process.env)

const server = createServer(async (request, response) => {
  const given = request.url === '/tokens' ? guard.answers(await json(request)) : guard.answer(request)
  const { status, headers, body } = await given
  response.writeHead(status, headers).end(body)
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
