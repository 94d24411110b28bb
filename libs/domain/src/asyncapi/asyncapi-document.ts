import { z } from 'zod';
import { type EventType, eventCatalog, type Service, services } from '../event-catalog.js';

type Json = Readonly<Record<string, unknown>>;

/**
 * The AsyncAPI 3.0 document of the log, from the same table that the services use: one channel per kind, one message per
 * event type, one send operation per writer. `docs/asyncapi.json` is this value; a test compares the two.
 */
export function asyncApiDocument(version: string): Json {
  const types = Object.keys(eventCatalog) as EventType[];
  const kinds = [...new Set(types.map((type) => eventCatalog[type].kind))];
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Vouch event log',
      version,
      description:
        'Events on the JetStream stream EVENTS: CloudEvents 1.0 in structured JSON mode, canonical form (RFC 8785), signed by their author (Ed25519).',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/cloudevents+json',
    channels: Object.fromEntries(kinds.map((kind) => [kind, channel(kind, types)])),
    operations: Object.fromEntries(
      services.flatMap((service) =>
        kinds.filter((kind) => writes(service, kind, types)).map((kind) => [`${service}-writes-${kind}`, send(kind)]),
      ),
    ),
    components: { messages: Object.fromEntries(types.map((type) => [type, message(type)])) },
  };
}

function channel(kind: string, types: readonly EventType[]): Json {
  const own = types.filter((type) => eventCatalog[type].kind === kind);
  const perHost = own.some((type) => eventCatalog[type].writer === 'host-worker');
  return {
    address: perHost ? `evt.${kind}.{hostId}.{id}` : `evt.${kind}.{id}`,
    parameters: {
      ...(perHost ? { hostId: { description: 'Host whose worker writes; no other user may publish here.' } } : {}),
      id: { description: `Id of the ${kind} the event is about.` },
    },
    messages: Object.fromEntries(own.map((type) => [type, { $ref: `#/components/messages/${type}` }])),
  };
}

function send(kind: string): Json {
  return { action: 'send', channel: { $ref: `#/channels/${kind}` } };
}

function writes(service: Service, kind: string, types: readonly EventType[]): boolean {
  return types.some((type) => eventCatalog[type].kind === kind && eventCatalog[type].writer === service);
}

function message(type: EventType): Json {
  const { data, version, writer } = eventCatalog[type];
  return {
    name: type,
    summary: `Written by ${writer}; schema version ${version}.`,
    payload: {
      type: 'object',
      required: [
        'specversion',
        'id',
        'source',
        'type',
        'subject',
        'time',
        'actor',
        'cause',
        'corr',
        'schemav',
        'keyid',
        'sig',
        'data',
      ],
      properties: {
        specversion: { const: '1.0' },
        id: { type: 'string', format: 'uuid' },
        source: { type: 'string' },
        type: { const: type },
        subject: { type: 'string' },
        time: { type: 'string', format: 'date-time' },
        datacontenttype: { const: 'application/json' },
        actor: { type: 'string' },
        cause: { type: 'string' },
        corr: { type: 'string' },
        schemav: { const: version },
        keyid: { type: 'string' },
        sig: { type: 'string' },
        data: z.toJSONSchema(data),
      },
      additionalProperties: false,
    },
  };
}
