import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = resolve(import.meta.dirname, '../..');

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly restart?: string;
  readonly healthcheck?: unknown;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const compose = parse(readFileSync(join(root, 'docker-compose.dev.yml'), 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
};
const services = Object.entries(compose.services);
const isOneShot = ({ restart }: Service): boolean => restart === 'no';

/** The Compose specification's own schema, as the linter dclint ships it. */
function validator(): (value: unknown) => readonly unknown[] {
  const schema = JSON.parse(
    readFileSync(join(root, 'node_modules/dclint/schemas/compose.schema.json'), 'utf8'),
  ) as object;
  const ajv = new Ajv({ strict: false, allErrors: true, formats: { duration: true, subnet_ip_address: true } });
  const validate = ajv.compile(Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema')));
  return (value) => (validate(value) ? [] : (validate.errors ?? []));
}

describe('docker-compose.dev.yml', () => {
  it('is valid under the Compose specification schema', () => {
    expect(validator()(compose)).toEqual([]);
  });

  it('would not be valid with an unknown key or a wrong type (the check can fail)', () => {
    const [name, service] = services[0] ?? ['', {}];
    expect(validator()({ ...compose, services: { [name]: { ...service, imagee: 'x' } } })).not.toEqual([]);
    expect(validator()({ ...compose, services: { [name]: { ...service, image: 7 } } })).not.toEqual([]);
  });

  it.each(services)('%s has a pinned image and, unless it runs once, a health check', (_, service) => {
    expect(service.image).toMatch(/:v?\d+\.\d+/);
    if (!isOneShot(service)) expect(service.healthcheck).toBeDefined();
  });

  it.each(services.filter(([, { build }]) => build !== undefined))(
    '%s runs an app of this project',
    (_, { command = [] }) => {
      const script = command.find((word) => word.endsWith('.js')) ?? '';
      const [, app] = /^apps\/([a-z-]+)\/dist\/main\.js$/.exec(script) ?? [];
      expect(existsSync(join(root, 'apps', app ?? 'none', 'src', 'main.ts'))).toBe(true);
    },
  );

  it.each(services)('%s waits only for services that exist, in a state they can reach', (_, { depends_on = {} }) => {
    for (const [name, { condition }] of Object.entries(depends_on)) {
      const other = compose.services[name];
      expect(other).toBeDefined();
      expect(condition).toBe(
        other !== undefined && isOneShot(other) ? 'service_completed_successfully' : 'service_healthy',
      );
    }
  });
});
