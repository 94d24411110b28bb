import { createServer, type Server } from 'node:http';

/** The quote simulator's admin socket, remembering what it was asked. */
export class FakeSimulator {
  readonly domains = new Map<string, Record<string, string>>();
  readonly puts: string[] = [];
  #server: Server | undefined;

  constructor(readonly socketPath: string) {}

  start(): Promise<void> {
    this.#server = createServer((request, response) => {
      const instanceId = request.url?.split('/')[2] ?? '';
      let text = '';
      request.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      request.on('end', () => {
        if (request.method === 'PUT') {
          this.domains.set(instanceId, JSON.parse(text) as Record<string, string>);
          this.puts.push(instanceId);
        } else this.domains.delete(instanceId);
        response.end('{}');
      });
    });
    return new Promise((resolve) => this.#server?.listen(this.socketPath, resolve));
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#server === undefined) return resolve();
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}
