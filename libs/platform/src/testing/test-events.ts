import { randomUUID } from 'node:crypto';
import { type AuthoredEvent, authorEvent, type EventAuthor } from '@vouch/domain';

/** An `app.registered` event; `n` makes the app id. */
export function appRegistered(author: EventAuthor, n: number): AuthoredEvent {
  return authorEvent(author, {
    id: randomUUID(),
    type: 'app.registered',
    data: { appId: n.toString(16).padStart(40, '0'), name: `app-${n}`, owner: 'test' },
    time: new Date('2026-01-01T00:00:00.000Z'),
    actor: 'test',
    cause: '',
    corr: '',
  });
}
