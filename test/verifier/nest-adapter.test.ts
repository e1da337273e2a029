import t from 'tap'
import { Public, Requires, signetNest } from '../../src/verifier/adapters/nest.ts'
import { demandsOf } from '../../src/verifier/adapters/nest-demands.ts'
import { SignetError } from '../../src/verifier/index.ts'
import { HttpException, nestContext, recording } from './adapter-drivers.ts'
import { verifying } from './verifying.ts'

// What all adapters promise is in adapters.test.ts; here is what only NestJS has.

t.test('what controllers and methods say', async (t) => {
  class Base {
    inherited() {}
    open() {}
  }
  class Reports extends Base {
    all() {}
    one() {}
    health() {}
    get trap(): never {
      throw new Error('a getter was called')
    }
  }
  class Open {
    anything() {}
    closed() {}
  }
  class Below extends Open {
    another() {}
  }
  Requires({ roles: ['staff'] })(Base)
  Public()(Base.prototype, 'open')
  Requires({ scope: ['reports:read'] })(Reports.prototype, 'one')
  Public()(Reports.prototype, 'health')
  Public()(Open)
  Requires({ roles: ['admin'] })(Open.prototype, 'closed')

  const staff = { roles: ['staff'] }
  const CASES: [controller: new () => object, handler: unknown, demanded: unknown[] | 'public'][] = [
    [Reports, Reports.prototype.all, [staff]],
    [Reports, Reports.prototype.one, [{ scope: ['reports:read'] }, staff]],
    [Reports, Reports.prototype.health, 'public'],
    [Reports, Base.prototype.inherited, [staff]],
    [Reports, Base.prototype.open, 'public'],
    [Open, Open.prototype.anything, 'public'],
    [Open, Open.prototype.closed, [{ roles: ['admin'] }]],
    [Below, Below.prototype.another, [{}]],
    [Below, Open.prototype.anything, [{}]],
    [
      class Plain {
        method() {}
      },
      undefined,
      [{}],
    ],
  ]
  for (const [controller, given, demanded] of CASES) {
    const handler = given ?? (controller.prototype as { method: unknown }).method
    const verifier = recording()
    const guard = new (signetNest(verifier, HttpException))()
    const request: { user?: unknown } = {}
    t.equal(await guard.canActivate(nestContext({ controller, handler, args: [request, {}] })), true)
    const what = `${controller.name}.${(handler as { name: string }).name}`
    t.same(
      verifier.calls.map(({ demands }) => demands),
      demanded === 'public' ? [] : demanded,
      what,
    )
    t.equal('user' in request, demanded !== 'public', what)
  }
})

t.test('a class below takes no demand away, and what it demands is for inherited methods too', async (t) => {
  class Lists {
    list() {}
    one() {}
    remove() {}
  }
  class Admin extends Lists {
    override remove() {}
  }
  class Below extends Admin {}
  class Open extends Lists {
    override list() {}
    override remove() {}
  }
  class Alias {
    open() {}
    closed() {}
  }
  Alias.prototype.closed = Alias.prototype.open
  const [staff, admin, remover] = [{ roles: ['staff'] }, { roles: ['admin'] }, { scope: ['remove'] }]
  Public()(Lists.prototype, 'list')
  Requires(staff)(Lists.prototype, 'one')
  Requires(remover)(Lists.prototype, 'remove')
  Requires(admin)(Admin)
  Public()(Open.prototype, 'remove')
  Public()(Alias.prototype, 'open')
  Requires(admin)(Alias.prototype, 'closed')

  const CASES: [what: string, controller: new () => object, handler: unknown, demanded: unknown][] = [
    ['public by itself', Lists, Lists.prototype.list, 'public'],
    ['inherited, below a class that demands', Admin, Lists.prototype.list, [admin]],
    ['one class further down', Below, Lists.prototype.list, [admin]],
    ['both demand', Admin, Lists.prototype.one, [admin, staff]],
    ['overridden', Admin, Admin.prototype.remove, [admin, remover]],
    ['overridden, one class further down', Below, Admin.prototype.remove, [admin, remover]],
    ['opened on purpose', Open, Open.prototype.remove, 'public'],
    ['overridden, and nothing said of it', Open, Open.prototype.list, [{}]],
    ['one function under two names', Alias, Alias.prototype.closed, [admin]],
  ]
  for (const [what, controller, handler, demanded] of CASES)
    t.same(demandsOf({ getClass: () => controller, getHandler: () => handler }), demanded, what)
})

t.test('what it can not be sure of does not pass', async (t) => {
  class Controller {
    method() {}
  }
  const guard = new (signetNest(recording(), HttpException))()
  const args: [object, object] = [{}, {}]
  const replaced = nestContext({ controller: Controller, handler: () => undefined, args })
  await t.rejects(guard.canActivate(replaced), TypeError, 'a handler that is not a method of the class')
  const { method: handler } = Controller.prototype
  const socket = { controller: Controller, handler, type: 'ws', args }
  await t.rejects(guard.canActivate(nestContext(socket)), { name: 'TypeError', message: /requestOf/ }, 'a web socket')

  const request: { user?: unknown } = {}
  const graphql = new (signetNest(recording(), HttpException, () => request))()
  t.equal(await graphql.canActivate(nestContext({ ...socket, type: 'graphql' })), true)
  t.match(request.user, { sub: 'somebody' })
  const refusing = { authenticate: () => Promise.reject(new SignetError('invalid_token')) }
  const refused = new (signetNest(refusing, HttpException, () => request))()
  const trap = { header: () => t.fail('these are arguments of the caller, and no response') }
  await t.rejects(refused.canActivate(nestContext({ ...socket, type: 'graphql', args: [{}, trap] })), {
    status: 401,
  } as never)

  Public()(Controller.prototype, 'method')
  t.throws(() => Requires({ roles: ['a'] })(Controller.prototype, 'method'), /method: one @Public/)
  t.throws(() => Public()(Controller.prototype, { kind: 'method' } as never), /experimentalDecorators/)
})

t.test('the first demand alone puts no user on the request', async (t) => {
  class Controller {
    method() {}
  }
  Requires({ roles: ['a'] })(Controller)
  Requires({ roles: ['b'] })(Controller.prototype, 'method')
  const { verifier, mint } = await verifying(t)
  const guard = new (signetNest(verifier, HttpException))()
  const authorization = `Bearer ${mint.token({ claims: { roles: ['b'] } })}`
  const request: { headers: object; user?: unknown } = { headers: { authorization } }
  const args: [object, object] = [request, { header: () => undefined }]
  const context = nestContext({ controller: Controller, handler: Controller.prototype.method, args })
  await t.rejects(guard.canActivate(context), { status: 403 } as never)
  t.notOk('user' in request)
})
