import { z } from 'zod';
import { resourcesSchema } from '../event-catalog.js';
import { HEX16, HEX20, HOST_ID } from '../ids.js';

/**
 * The commands an operation can carry, as they lie in `operation.requested` (`command` and `input`). Ids that the
 * command creates are part of it, so that carrying it out twice makes the same things.
 */
const hex20 = z.string().regex(HEX20);
const hex16 = z.string().regex(HEX16);
const host = z.string().regex(HOST_ID);

export const commandSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('RegisterApp'), appId: hex20, name: z.string(), owner: z.string() }),
  z.strictObject({
    type: z.literal('CreateRelease'),
    releaseId: hex16,
    appId: hex20,
    appCompose: z.string(),
    resources: resourcesSchema,
    ports: z.array(z.number().int()),
    encryptedEnv: z.string(),
  }),
  z.strictObject({
    type: z.literal('DeployInstance'),
    instanceId: hex20,
    seed: hex20,
    appId: hex20,
    releaseId: hex16,
    /** The one host to use, or null to let the scheduler choose. */
    hostId: host.nullable(),
  }),
  z.strictObject({ type: z.literal('StopInstance'), instanceId: hex20 }),
  z.strictObject({ type: z.literal('RemoveInstance'), instanceId: hex20 }),
  z.strictObject({
    type: z.literal('RegisterHost'),
    hostId: host,
    driver: z.enum(['process', 'qemu']),
    capacity: z.strictObject({ vcpu: z.number().int().positive(), memoryMiB: z.number().int().positive() }),
    unsafe: z.array(z.string()),
  }),
  z.strictObject({ type: z.literal('CordonHost'), hostId: host, reason: z.string() }),
  z.strictObject({ type: z.literal('UncordonHost'), hostId: host }),
]);

export type Command = z.infer<typeof commandSchema>;
export type CommandOf<N extends Command['type']> = Extract<Command, { type: N }>;

/** Id of the thing a command is about: what `operation.requested` names as its target. */
export function targetOf(command: Command): string {
  switch (command.type) {
    case 'RegisterApp':
      return command.appId;
    case 'CreateRelease':
      return command.releaseId;
    case 'DeployInstance':
    case 'StopInstance':
    case 'RemoveInstance':
      return command.instanceId;
    case 'RegisterHost':
    case 'CordonHost':
    case 'UncordonHost':
      return command.hostId;
  }
}
