import { readFile } from 'node:fs/promises';
import { Controller, Get, type OnModuleInit, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

/** apps/dashboard, seen from the compiled file. */
const FOLDER = new URL('../../../dashboard/', import.meta.url);

const CONTENT_TYPES = {
  'index.html': 'text/html; charset=utf-8',
  'dashboard.js': 'text/javascript; charset=utf-8',
  'dashboard.css': 'text/css; charset=utf-8',
} as const;
type FileName = keyof typeof CONTENT_TYPES;

/** Only our own script and style, only our own API, no frames, no plugins, no inline code. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Serves the operator page: three fixed files, read once. They hold no data; the page asks for a token. */
@ApiExcludeController()
@Controller()
export class DashboardController implements OnModuleInit {
  readonly #files = new Map<FileName, Buffer>();

  async onModuleInit(): Promise<void> {
    for (const name of Object.keys(CONTENT_TYPES) as FileName[]) {
      this.#files.set(name, await readFile(new URL(name, FOLDER)));
    }
  }

  @Get()
  page(@Res() reply: FastifyReply): void {
    this.#send(reply, 'index.html');
  }

  @Get('dashboard.js')
  script(@Res() reply: FastifyReply): void {
    this.#send(reply, 'dashboard.js');
  }

  @Get('dashboard.css')
  style(@Res() reply: FastifyReply): void {
    this.#send(reply, 'dashboard.css');
  }

  #send(reply: FastifyReply, name: FileName): void {
    void reply
      .headers({
        'content-type': CONTENT_TYPES[name],
        'content-security-policy': CONTENT_SECURITY_POLICY,
        'cache-control': 'no-cache',
      })
      .send(this.#files.get(name));
  }
}
