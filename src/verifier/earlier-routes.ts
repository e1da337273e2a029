import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, RouteOptions } from 'fastify'

/** By the server of an app, which all its plugins share: its routes, each with the plugin that added it. */
const routesOf = new WeakMap<object, [addedBy: object, route: RouteOptions][]>()

// A plugin is loaded after the routes that stand beside its `register`, and Fastify has no list of routes. So each app
// that is made after this module was imported gets a hook that notes them.
subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { fastify: FastifyInstance }
  const routes: [object, RouteOptions][] = []
  routesOf.set(fastify.server, routes)
  fastify.addHook('onRoute', function note(route) {
    routes.push([this, route])
  })
})

/**
 * The routes that were added before, to this app or plugin or to one within it. None are known of an app that was made
 * before this module was imported.
 */
export function earlierRoutes(app: FastifyInstance): RouteOptions[] {
  const routes = routesOf.get(app.server) ?? []
  const isWithin = (instance: object) => instance === app || Object.prototype.isPrototypeOf.call(app, instance)
  return routes.filter(([addedBy]) => isWithin(addedBy)).map(([, route]) => route)
}
