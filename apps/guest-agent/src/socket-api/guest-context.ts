import type { P256Key } from '@vouch/keys';
import type { AgentLog } from '../agent-log.js';
import type { OpenedGrant } from '../grant/open-grant.js';
import type { HostClient } from '../host/host-client.js';
import type { SharedFolder } from '../shared-folder/shared-folder.js';
import type { RuntimeEventLog } from '../tsm/runtime-event-log.js';
import type { BootEventJson, TsmClient } from '../tsm/tsm-client.js';

/** What the socket API answers from: a granted guest. */
export interface GuestContext {
  readonly shared: SharedFolder;
  readonly grant: OpenedGrant;
  /** The attested identity key: signs certificate requests. */
  readonly identityKey: P256Key;
  readonly host: HostClient;
  readonly tsm: TsmClient;
  readonly events: RuntimeEventLog;
  readonly bootLog: readonly BootEventJson[];
  readonly log: AgentLog;
}
