import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const projectRoot = resolve(import.meta.dirname, '../..');
const cli = join(projectRoot, 'apps/cli/dist/main.js');
export const helloCompose = join(projectRoot, 'examples/hello/app-compose.json');
export const unapprovedCompose = join(projectRoot, 'examples/hello/app-compose.unapproved.json');

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface StackContext {
  readonly apiUrl: string;
  readonly apiToken: string;
  readonly gateway: { readonly host: string; readonly port: number; readonly baseDomain: string };
  readonly caFile: string;
}

interface StackState {
  readonly supervisor: { readonly pid: number };
  readonly ports: Readonly<Record<string, number>>;
  readonly services: readonly {
    readonly name: string;
    readonly process: { readonly pid: number } | null;
    readonly restarts: number;
  }[];
  readonly servers: readonly { readonly name: string; readonly pid: number }[];
}

/** A whole stack as a user starts it, by the CLI, in a data folder of its own. */
export class TestStack {
  private constructor(readonly folder: string) {}

  /** A stack that is not started yet, in a data folder of the caller's. */
  static at(folder: string): TestStack {
    return new TestStack(folder);
  }

  static async up(env: Readonly<Record<string, string>> = {}): Promise<TestStack> {
    const stack = new TestStack(join(await mkdtemp(join(tmpdir(), 'vouch-e2e-')), 'data'));
    const result = await stack.vouch(['up', '--detach'], env);
    if (result.code !== 0) {
      const log = await readFile(join(stack.folder, 'logs/up.log'), 'utf8').catch(() => '');
      await stack.down();
      throw new Error(`vouch up exited ${result.code}: ${result.stderr}\n${log}`);
    }
    return stack;
  }

  /** Runs the CLI against this stack; never throws on a failing command. */
  vouch(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
    return new Promise((done, failed) => {
      const child = spawn(process.execPath, [cli, ...args], {
        env: { ...process.env, VOUCH_DATA: this.folder, NO_COLOR: '1', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk) => {
        stdout += chunk;
      });
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      child.once('error', failed);
      child.once('close', (code) => done({ code: code ?? -1, stdout, stderr }));
    });
  }

  async context(): Promise<StackContext> {
    return JSON.parse(await readFile(join(this.folder, 'context.json'), 'utf8')) as StackContext;
  }

  async state(): Promise<StackState> {
    return JSON.parse(await readFile(join(this.folder, 'state.json'), 'utf8')) as StackState;
  }

  async api(path: string, init: RequestInit = {}): Promise<Response> {
    const { apiUrl, apiToken } = await this.context();
    return fetch(new URL(path, apiUrl), { ...init, headers: { authorization: `Bearer ${apiToken}`, ...init.headers } });
  }

  /** GET through the gateway, with the name in SNI and the development CA as the only root. */
  async getThroughGateway(label: string, path = '/'): Promise<{ status: number; body: string }> {
    const { gateway, caFile } = await this.context();
    const name = `${label}.${gateway.baseDomain}`;
    const ca = await readFile(caFile);
    return new Promise((done, failed) => {
      const call = request(
        {
          host: gateway.host,
          port: gateway.port,
          servername: name,
          path,
          ca,
          agent: false,
          headers: { host: name },
          timeout: 10_000,
        },
        (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += chunk;
          });
          response.once('end', () => done({ status: response.statusCode ?? 0, body }));
          response.once('error', failed);
        },
      );
      call.once('timeout', () => call.destroy(new Error('timeout')));
      call.once('error', failed);
      call.end();
    });
  }

  async down(): Promise<CliResult> {
    const result = await this.vouch(['down', '--purge']);
    await rm(resolve(this.folder, '..'), { recursive: true, force: true });
    return result;
  }
}
