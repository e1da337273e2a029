/** Asks a browser over a WebSocket: both the DevTools protocol and WebDriver BiDi are calls with numbers. */
export class Protocol {
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  #last = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => this.#receive(JSON.parse(String(data))))
    socket.addEventListener('close', () => this.#fail(new Error('the browser has closed its socket')))
  }

  static async connect(url: string): Promise<Protocol> {
    const socket = new WebSocket(url)
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve())
      socket.addEventListener('error', () => reject(new Error(`can't connect to ${url}`)))
    })
    return new Protocol(socket)
  }

  /** @param sessionId of the DevTools protocol: the tab */
  call<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    this.#last += 1
    const id = this.#last
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }))
    return new Promise<T>((resolve, reject) => this.#waiting.set(id, { resolve: resolve as () => void, reject }))
  }

  close(): void {
    this.#socket.close()
  }

  #receive({ id, result, error, message }: { id?: number; result?: unknown; error?: unknown; message?: string }): void {
    const waiting = this.#waiting.get(id ?? 0)
    this.#waiting.delete(id ?? 0)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(`${message ?? ''} ${JSON.stringify(error)}`))
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
