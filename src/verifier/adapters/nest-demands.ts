import { assertDemands, type Demands } from '../../tokens/authorize.ts'

type Key = string | symbol | undefined
/** What the methods of a class ask for; and the class itself, whose key is undefined. */
type Notes = Map<Key, Demands | 'public'>

// On the prototype, and by a name for the whole process: should the package be loaded twice, the guard of one copy must
// see what the decorators of the other one wrote.
const NOTES = Symbol.for('signet-verifier.nest')
const notesOf = (prototype: object) => Object.getOwnPropertyDescriptor(prototype, NOTES)?.value as Notes | undefined

/** A decorator of a controller, or of a method of one. */
export type NestDecorator = (target: object, key?: string | symbol) => void

/**
 * What a controller or a method asks for besides a good token. Where both say something, both are asked for.
 *
 * @throws TypeError for demands that would have no effect, as `assertDemands`
 */
export function Requires(demands: Demands): NestDecorator {
  assertDemands(demands)
  return note(demands)
}

/** Opens a method to everybody, or those methods of a controller that say nothing themselves. */
export function Public(): NestDecorator {
  return note('public')
}

function note(what: Demands | 'public'): NestDecorator {
  return (target, key) => {
    if (typeof key === 'object') throw new TypeError('Nest decorators need "experimentalDecorators": true')
    const prototype = key === undefined ? (target as { prototype: object }).prototype : target
    const notes: Notes = notesOf(prototype) ?? new Map()
    const name = String(key ?? (target as { name?: string }).name)
    if (notes.has(key)) throw new TypeError(`${name}: one @Public() or one @Requires(…) is enough`)
    Object.defineProperty(prototype, NOTES, { value: notes.set(key, what), configurable: true })
  }
}

/** The part of Nest's `ExecutionContext` that says which method is called. */
export interface NestCall {
  getClass(): { readonly prototype: object }
  getHandler(): unknown
}

/**
 * All that a call demands. A class that inherits inherits demands, also of the methods that it overrides. It does not
 * inherit that it is public, and an inherited method is public only while no class below says what it demands.
 *
 * @throws TypeError for a handler that is not a method of the class: what was said of it can't be found
 */
export function demandsOf(call: NestCall): readonly Demands[] | 'public' {
  const { prototype } = call.getClass()
  const demands: Demands[] = []
  const keys = new Set<string | symbol>()
  let isPublicClass = false
  for (let level = prototype; level !== null; level = Object.getPrototypeOf(level)) {
    const own = Reflect.ownKeys(level).filter((name) => methodOf(level, name) === call.getHandler())
    for (const key of own) keys.add(key)
    const notes = notesOf(level)
    const [ofClass, ofMethods] = [notes?.get(undefined), [...keys].flatMap((key) => notes?.get(key) ?? [])]
    const isOpened = own.length > 0 && ofMethods.length > 0 && ofMethods.every((one) => one === 'public')
    if (isOpened && demands.length === 0) return 'public'
    isPublicClass ||= ofClass === 'public' && level === prototype
    for (const one of [ofClass, ...ofMethods]) if (one !== undefined && one !== 'public') demands.push(one)
  }
  if (keys.size === 0) throw new TypeError('signet: the handler is not a method of its controller')
  if (demands.length > 0) return demands
  return isPublicClass ? 'public' : [{}]
}

/** Without calling a getter. */
const methodOf = (level: object, name: string | symbol) => Object.getOwnPropertyDescriptor(level, name)?.value
