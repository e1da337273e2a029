import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What stands where the gate should be. */
export type Fault = 'none' | 'refused' | 'silent' | 'cut' | { readonly answers: string }

/**
 * Stands between a gateway and the gate: counts connections, keeps what the gateway asks, and can answer as a broken
 * gate does.
 */
export class Between {
  readonly port: number
  connections = 0
  /** Everything that the gateway has sent, in Latin-1. */
  asked = ''
  #fault: Fault = 'none'
  readonly #server
  readonly #sockets = new Set<Socket>()

  static async to(gatePort: number): Promise<Between> {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1').unref(), 'listening')
    return new Between(server, gatePort)
  }

  private constructor(server: ReturnType<typeof createServer>, gatePort: number) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket) => this.#connected(socket, gatePort))
  }

  #connected(socket: Socket, gatePort: number): void {
    this.connections += 1
    const fault = this.#fault
    this.#keep(socket)
    const inner = fault === 'none' ? this.#keep(connect(gatePort, '127.0.0.1')) : undefined
    socket.on('data', (chunk) => {
      this.asked += chunk.toString('latin1')
      inner?.write(chunk)
      if (fault === 'cut') socket.end('HTTP/1.1 200 OK\r\nX-Signet-Subject: half-an-ans')
      else if (typeof fault === 'object') socket.write(fault.answers)
    })
    inner?.pipe(socket)
    inner?.once('close', () => socket.destroy())
    socket.once('close', () => inner?.destroy())
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket)
    return socket.on('error', () => undefined).once('close', () => this.#sockets.delete(socket))
  }

  async set(fault: Fault): Promise<void> {
    const was = this.#fault
    this.#fault = fault
    if (fault === 'refused') this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    if (was === 'refused') await once(this.#server.listen(this.port, '127.0.0.1').unref(), 'listening')
  }
}
