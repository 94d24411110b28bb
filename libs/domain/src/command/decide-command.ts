import { decideApp } from '../app/app-decider.js';
import { type Decision, refuse } from '../decision.js';
import type { FleetView } from '../fleet/fleet-view.js';
import { decideHost } from '../host/host-decider.js';
import { decideInstance } from '../instance/instance-decider.js';
import { decideRelease } from '../release/release-decider.js';
import type { Command, CommandOf } from './command.js';

/**
 * Decides a command on the fleet as it is: the same function answers the request (refusals become 4xx) and carries it
 * out later, so that the two can never disagree about the rules. For DeployInstance the events are those of its first
 * step; the process manager (advance) does the rest.
 */
export function decideCommand(command: Command, view: FleetView): Decision {
  switch (command.type) {
    case 'RegisterApp':
      return decideApp(command, view.app(command.appId));
    case 'CreateRelease': {
      if (view.app(command.appId).status === 'absent') return appUnknown(command.appId);
      return decideRelease(command, view.release(command.releaseId));
    }
    case 'DeployInstance':
      return decideDeploy(command, view);
    case 'StopInstance':
    case 'RemoveInstance':
      return decideInstance(command, view.instance(command.instanceId).state);
    case 'RegisterHost':
    case 'CordonHost':
    case 'UncordonHost':
      return decideHost(command, view.host(command.hostId));
  }
}

function decideDeploy(command: CommandOf<'DeployInstance'>, view: FleetView): Decision {
  const { instanceId, seed, releaseId, hostId } = command;
  const release = view.release(releaseId);
  if (release.status === 'absent') return refuse('release-unknown', `there is no release ${releaseId}`, 'releaseId');
  if (hostId !== null && view.host(hostId).status === 'absent') {
    return refuse('host-unknown', `there is no host ${hostId}`, 'hostId');
  }
  const { appId, composeHash } = release;
  const create = { type: 'CreateInstance', instanceId, appId, releaseId, composeHash, seed } as const;
  return decideInstance(create, view.instance(instanceId).state);
}

function appUnknown(appId: string): Decision {
  return refuse('app-unknown', `there is no app ${appId}; register it first`, 'appId');
}
