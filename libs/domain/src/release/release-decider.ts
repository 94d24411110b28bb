import { readAppCompose } from '../app/app-compose.js';
import { canonicalBytes } from '../canonical-json.js';
import { accept, type Decision, type DomainEvent, type FieldError, refuse, refuseFields } from '../decision.js';
import { MAX_EVENT_BYTES } from '../envelope.js';
import { type Resources, resourcesSchema } from '../event-catalog.js';

/** One release: an exact app-compose with the resources, ports and encrypted environment it runs with. Never changes. */
export type ReleaseState = { readonly status: 'absent' } | ({ readonly status: 'created' } & ReleaseCreated['data']);

export interface CreateRelease {
  readonly type: 'CreateRelease';
  /** 16 bytes hex, derived from the operation id. */
  readonly releaseId: string;
  readonly appId: string;
  /** The exact text; never re-serialised. */
  readonly appCompose: string;
  readonly resources: Resources;
  /** TCP ports the app serves; empty: those the compose file publishes. */
  readonly ports: readonly number[];
  /** dstack encrypted env blob, hex. */
  readonly encryptedEnv: string;
}

type ReleaseCreated = DomainEvent<'release.created'>;
export type ReleaseEvent = ReleaseCreated;

export const initialRelease: ReleaseState = { status: 'absent' };

/** Largest encrypted environment, in hex digits (two per byte). */
const MAX_ENCRYPTED_ENV_DIGITS = 64 * 1024;
/** Room the operation event around a release takes: its envelope, ids and request hash, in bytes. */
const ENVELOPE_RESERVE_BYTES = 4 * 1024;

export function decideRelease(command: CreateRelease, state: ReleaseState): Decision<ReleaseEvent> {
  if (state.status === 'created') return accept();
  const read = readAppCompose(command.appCompose);
  if (!read.ok) {
    const [first] = read.errors;
    return refuseFields(read.code, `${first?.field ?? 'appCompose'} ${first?.message ?? 'is invalid'}`, read.errors);
  }
  const errors = requestErrors(command);
  if (errors.length > 0) return refuseFields('release-invalid', 'the release request has invalid fields', errors);
  const { composeHash, name } = read.compose;
  const ports = command.ports.length > 0 ? [...new Set(command.ports)].sort((a, b) => a - b) : read.compose.ports;
  if (ports.length > 32) return refuse('release-invalid', 'an app can serve at most 32 TCP ports', 'ports');
  const { releaseId, appId, appCompose, resources, encryptedEnv } = command;
  const data = { releaseId, appId, composeHash, appCompose, name, resources, encryptedEnv, ports: [...ports] };
  const sizeBytes = canonicalBytes(data).length + ENVELOPE_RESERVE_BYTES;
  if (sizeBytes > MAX_EVENT_BYTES) {
    const message = `app-compose and encrypted environment make an event of ${sizeBytes} bytes; the limit is ${MAX_EVENT_BYTES}`;
    return refuse('release-too-large', message, 'appCompose');
  }
  return accept({ type: 'release.created', data });
}

function requestErrors(command: CreateRelease): FieldError[] {
  const errors: FieldError[] = [];
  const resources = resourcesSchema.safeParse(command.resources);
  for (const issue of resources.error?.issues ?? []) {
    errors.push({ field: ['resources', ...issue.path.map(String)].join('.'), message: issue.message });
  }
  command.ports.forEach((port, index) => {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      errors.push({ field: `ports.${index}`, message: 'must be a TCP port (1 to 65535)' });
    }
  });
  if (!/^([0-9a-f]{2})*$/.test(command.encryptedEnv)) {
    errors.push({ field: 'encryptedEnv', message: 'must be lower-case hex' });
  } else if (command.encryptedEnv.length > MAX_ENCRYPTED_ENV_DIGITS) {
    errors.push({ field: 'encryptedEnv', message: `must have at most ${MAX_ENCRYPTED_ENV_DIGITS / 2} bytes` });
  }
  return errors;
}

export function evolveRelease(_state: ReleaseState, event: ReleaseEvent): ReleaseState {
  return { status: 'created', ...event.data };
}
