import { accept, type Decision, type DomainEvent, refuse } from '../decision.js';
import { HEX20 } from '../ids.js';

/** One app: an app-compose lineage under an app id (20 bytes hex, the address of its DstackApp contract). */
export type AppState =
  | { readonly status: 'absent' }
  | { readonly status: 'registered'; readonly appId: string; readonly name: string; readonly owner: string };

export interface RegisterApp {
  readonly type: 'RegisterApp';
  readonly appId: string;
  readonly name: string;
  readonly owner: string;
}

export type AppEvent = DomainEvent<'app.registered'>;

export const initialApp: AppState = { status: 'absent' };

/** Registering the same app with the same name and owner again holds already; anything else under its id is refused. */
export function decideApp(command: RegisterApp, state: AppState): Decision<AppEvent> {
  const { appId, name, owner } = command;
  if (!HEX20.test(appId)) {
    return refuse('app-id-invalid', 'appId must be 40 lower-case hex digits (20 bytes), without 0x', 'appId');
  }
  if (name.trim() === '' || name.length > 64) {
    return refuse('app-name-invalid', 'name must have 1 to 64 characters', 'name');
  }
  if (state.status === 'absent') return accept({ type: 'app.registered', data: { appId, name, owner } });
  if (state.name === name && state.owner === owner) return accept();
  return refuse('app-exists', `app ${appId} is already registered as "${state.name}" by ${state.owner}`, 'appId');
}

export function evolveApp(_state: AppState, event: AppEvent): AppState {
  return { status: 'registered', ...event.data };
}
