import { statSync } from 'node:fs';
import type { ApiClient } from '../api-client.js';
import { CliFailure, exitCodes, misuse } from '../failure.js';
import type { AppRow, InstanceRow } from './fleet-types.js';

/** What `vouch verify` was pointed at. */
export type VerifyTarget =
  | { readonly kind: 'url'; readonly url: URL }
  /** Path, or `-` for standard input. */
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'fleet'; readonly name: string };

/** A URL, an existing file, or else the name of something in the fleet. Asks nobody. */
export function verifyTarget(text: string): VerifyTarget {
  if (/^https?:\/\//.test(text)) {
    if (!URL.canParse(text)) throw misuse(`${text} is not a URL`);
    return { kind: 'url', url: new URL(text) };
  }
  if (text === '-' || statSync(text, { throwIfNoEntry: false })?.isFile() === true) return { kind: 'file', path: text };
  if (/[/\\]|\.(json|bin|hex|pem|der|dat|quote)$/.test(text)) throw misuse(`there is no file ${text}`);
  return { kind: 'fleet', name: text };
}

/** The instance meant: by its own id, or the newest healthy one of an app by id or name. */
export async function instanceOf(api: ApiClient, name: string): Promise<string> {
  const isId = /^[0-9a-f]{40}$/.test(name);
  if (isId && (await isInstance(api, name))) return name;
  const appId = isId ? name : await appNamed(api, name);
  const { items } = await api.get<{ items: InstanceRow[] }>('/v1/instances', { appId });
  const healthy = items.filter(({ state }) => state === 'healthy');
  const newest = healthy.toSorted((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt))[0];
  if (newest !== undefined) return newest.instanceId;
  if (isId && items.length === 0)
    throw misuse(`${name} is no instance or app of this fleet`, 'see: vouch ls, vouch ls apps');
  const states = items.map(({ instanceId, state }) => `${instanceId} is ${state}`).join(', ');
  throw misuse(
    `app ${name} has no healthy instance${states === '' ? '' : `: ${states}`}`,
    'name an instance to verify its grant: vouch verify <instance>',
  );
}

async function isInstance(api: ApiClient, id: string): Promise<boolean> {
  try {
    await api.get(`/v1/instances/${id}`);
    return true;
  } catch (error) {
    // A refusal of the request itself means that there is none; everything else is a failure of its own.
    if (error instanceof CliFailure && error.exitCode === exitCodes.misuse) return false;
    throw error;
  }
}

async function appNamed(api: ApiClient, name: string): Promise<string> {
  const { items } = await api.get<{ items: AppRow[] }>('/v1/apps', { name });
  const [app] = items;
  if (app === undefined) throw misuse(`there is no app, instance or file named ${name}`, 'see: vouch ls apps');
  if (items.length > 1) {
    throw misuse(
      `${items.length} apps are named ${name}`,
      `name one by its id: ${items.map(({ appId }) => appId).join(', ')}`,
    );
  }
  return app.appId;
}
