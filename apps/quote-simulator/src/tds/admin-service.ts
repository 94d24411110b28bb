import { platformStateSchema } from '../defects/platform-state.js';
import type { SimulatedPlatform } from '../defects/simulated-platform.js';
import { type Handler, RequestRefusedError, type ServiceRequest, type ServiceResponse } from '../http/json-service.js';
import { parseBody, tdDefinitionSchema } from './td-definition.js';
import type { TdRegistry } from './td-registry.js';

const TD_PATH = /^\/tds\/([^/]+)$/;

/**
 * What a host can ask, over the admin socket (0600): `PUT /tds/<instanceId> {socketPath, vmConfig, mrConfigId,
 * launchId?} -> {mrTd, rtMr0..3}`, `GET /tds`, `GET /tds/<instanceId>`, `DELETE /tds/<instanceId> -> {removed}`. Also
 * `GET /platform` and, where the settings allow defects, `PUT /platform <PlatformState>`.
 */
export function adminService(registry: TdRegistry, platform: SimulatedPlatform, defectsAllowed: boolean): Handler {
  return async (request) => {
    if (request.path === '/platform') return platformRequest(request, platform, defectsAllowed);
    if (request.path === '/tds' && request.method === 'GET') {
      return { status: 200, body: { tds: registry.ids() } };
    }
    const instanceId = TD_PATH.exec(request.path)?.[1];
    if (instanceId === undefined) throw new RequestRefusedError(404, 'not-found', `no such path: ${request.path}`);
    if (!/^[0-9a-f]{40}$/.test(instanceId)) {
      throw new RequestRefusedError(400, 'instance-id-invalid', 'instanceId: expected 40 lower-case hex digits');
    }
    switch (request.method) {
      case 'PUT': {
        const td = await registry.put(instanceId, parseBody(tdDefinitionSchema, await request.json()));
        return { status: 200, body: td.registers() };
      }
      case 'GET': {
        const td = registry.get(instanceId);
        if (td === undefined) throw new RequestRefusedError(404, 'td-unknown', `no TD ${instanceId}`);
        return { status: 200, body: td.registers() };
      }
      case 'DELETE':
        return { status: 200, body: { removed: await registry.remove(instanceId) } };
      default:
        throw new RequestRefusedError(405, 'method-not-allowed', 'PUT, GET and DELETE are offered');
    }
  };
}

async function platformRequest(
  request: ServiceRequest,
  platform: SimulatedPlatform,
  defectsAllowed: boolean,
): Promise<ServiceResponse> {
  if (request.method === 'PUT') {
    if (!defectsAllowed) {
      const message = 'the platform is healthy; SIMULATOR_UNSAFE_DEFECTS=1 allows another state';
      throw new RequestRefusedError(403, 'defects-not-allowed', message);
    }
    await platform.set(parseBody(platformStateSchema, await request.json()));
  } else if (request.method !== 'GET') {
    throw new RequestRefusedError(405, 'method-not-allowed', 'PUT and GET are offered');
  }
  return { status: 200, body: platform.state };
}
