/**
 * Completes package-lock.json after `npm install`. A registry mirror may not carry the platform packages of other
 * systems; npm then writes a lock without them and `npm ci` refuses it ("Missing: X from lock file"). For every exact
 * optional dependency without an entry this adds an optional stub that `npm ci` skips on this platform.
 * Usage: node scripts/lock-stubs.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs';

const OPERATING_SYSTEMS = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
  'aix',
];
const ARCHITECTURES = [
  'arm64',
  'arm',
  'ia32',
  'x64',
  'ppc64',
  'riscv64',
  's390x',
  'loong64',
  'mips64el',
  'wasm32',
  'amd64',
];

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));
let added = 0;
for (const [location, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (!/^\d+\.\d+\.\d+/.test(version) || resolvable(location, name)) continue;
    lock.packages[`node_modules/${name}`] = stub(name, version, entry.dev === true);
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added} platform stubs added`);

/** True when Node's lookup from `location` upwards finds `name` in the lock. */
function resolvable(location, name) {
  for (let at = location; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    if (lock.packages[`${at === '' ? '' : `${at}/`}node_modules/${name}`] !== undefined) return true;
    if (at === '') return false;
    if (!at.includes('node_modules/')) return lock.packages[`node_modules/${name}`] !== undefined;
  }
}

function stub(name, version, dev) {
  const words = name.split(/[^a-z0-9]+/);
  const os = OPERATING_SYSTEMS.filter((word) => words.includes(word));
  const cpu = ARCHITECTURES.filter((word) => words.includes(word)).map((word) => (word === 'amd64' ? 'x64' : word));
  return {
    version,
    optional: true,
    ...(dev ? { dev: true } : {}),
    ...(os.length > 0 ? { os } : {}),
    ...(cpu.length > 0 ? { cpu } : {}),
    ...(words.includes('musl') ? { libc: ['musl'] } : {}),
  };
}
