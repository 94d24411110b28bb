/**
 * The one entry of every npm script. Runs on any Node >= 18 with nothing installed: installs the locked packages when
 * they are missing or changed (among them the Node release the project runs on), builds what changed, then hands over.
 * Plain JavaScript on purpose: it must run before anything else is there.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'node_modules', '.bin');
const stampFile = join(root, 'node_modules', '.vouch-installed');
const commands = {
  start,
  test,
  bench,
  build,
  'test:faults': faults,
  'test:vm': notYet('test:vm'),
  'test:ui': notYet('test:ui'),
};

const [command = '', ...args] = process.argv.slice(2);
const run = commands[command];
if (run === undefined) {
  console.error(`usage: node scripts/bootstrap.mjs <${Object.keys(commands).join(' | ')}>`);
  process.exit(1);
}
process.chdir(root);
process.exitCode = await run();

async function start() {
  install();
  compile();
  return handOver(join(root, 'apps/cli/dist/main.js'), ['up', '--example', ...args]);
}

async function build() {
  install();
  compile();
  return 0;
}

async function bench() {
  install();
  compile();
  return handOver(join(root, 'test/bench/dist/main.js'), args);
}

async function faults() {
  install();
  compile();
  return vitest('faults', ['test/faults', ...args]);
}

/** A suite that no test belongs to yet says so and fails, rather than passing on nothing. */
function notYet(name) {
  return async () => {
    console.error(`${name}: this suite has no tests yet`);
    return 1;
  };
}

async function test() {
  const steps = [
    ['install', () => install()],
    ['build and types', () => compile()],
    ['lint and format', () => tool('@biomejs/biome/bin/biome', ['ci', '--reporter=summary', '.'])],
    [
      'dependency rule',
      () =>
        tool('dependency-cruiser/bin/dependency-cruiser.mjs', [
          '--config',
          '.dependency-cruiser.cjs',
          'apps',
          'libs',
          'contracts',
          'migrations',
          'test',
        ]),
    ],
    ['unused code', () => tool('knip/bin/knip.js', [])],
  ];
  for (const [name, step] of steps) {
    if (!timed(name, step)) return 1;
  }
  const suites = [
    ['unit', ['.unit.test.ts']],
    ['integration', ['.int.test.ts']],
    ['end-to-end', ['.e2e.test.ts']],
  ];
  const totals = { passed: 0, failed: 0, skipped: 0 };
  let broken = false;
  for (const [name, filters] of suites) {
    const began = Date.now();
    const status = await vitest(name, [...filters, ...args], totals);
    report(name, began, status === 0);
    broken ||= status !== 0;
  }
  console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  return broken || totals.failed > 0 || totals.passed === 0 ? 1 : 0;
}

/** Runs one Vitest suite with its own summary on the terminal, and adds its counts to `totals`. */
async function vitest(name, filters, totals) {
  mkdirSync(join(root, 'test-results'), { recursive: true });
  const output = join(root, 'test-results', `${name}.json`);
  const status = await handOver(join(root, 'node_modules/vitest/vitest.mjs'), [
    'run',
    ...filters,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${output}`,
  ]);
  if (totals !== undefined && existsSync(output)) {
    const result = JSON.parse(readFileSync(output, 'utf8'));
    totals.passed += result.numPassedTests;
    totals.failed += result.numFailedTests;
    totals.skipped += result.numPendingTests + result.numTodoTests;
  }
  return status;
}

/** Installs exactly the lock file, once per lock file content, Node ABI and platform. */
function install() {
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return true;
  console.log('Installing packages from package-lock.json (about a minute the first time) ...');
  const began = Date.now();
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
  if (npm.status !== 0) {
    fail(
      'npm ci failed: see the lines above. Check the disk (about 1 GB is needed) and the registry that npm is set to use, then run this again.',
    );
  }
  writeFileSync(stampFile, stamp);
  console.log(`Packages installed (${seconds(began)})`);
  return true;
}

/** Builds every package that changed, in dependency order (TypeScript project references). */
function compile() {
  const tsc = join(root, 'node_modules/typescript-native/bin/tsc');
  const result = spawnSync(node(), [tsc, '-b'], { cwd: root, stdio: 'inherit', env: environment() });
  if (result.status !== 0) fail('The build failed: see the lines above.');
  return true;
}

/** The Node release the project is pinned to; the machine's own only when it is new enough. */
function node() {
  const pinned = join(bin, 'node');
  if (existsSync(pinned)) return pinned;
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= 22) return process.execPath;
  fail(
    `Node ${process.versions.node} is too old and no pinned Node was installed for ${process.platform}-${process.arch}: install Node 24 and run this again.`,
  );
}

function environment() {
  return { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}` };
}

function tool(path, toolArgs) {
  return (
    spawnSync(node(), [join(root, 'node_modules', path), ...toolArgs], {
      cwd: root,
      stdio: 'inherit',
      env: environment(),
    }).status === 0
  );
}

/** Runs a Node program in the foreground; passes signals on, so that Ctrl-C reaches it once and it can stop cleanly. */
function handOver(script, scriptArgs) {
  return new Promise((resolve) => {
    const child = spawn(node(), [script, ...scriptArgs], { cwd: root, stdio: 'inherit', env: environment() });
    const forward = (signal) => child.kill(signal);
    // The terminal sends SIGINT to the whole group: only keep this process alive until the child has stopped.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', forward);
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)));
    child.on('error', (error) => fail(`${script}: ${error.message}`));
  });
}

function timed(name, step) {
  const began = Date.now();
  const ok = step();
  report(name, began, ok);
  return ok;
}

function report(name, began, ok) {
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds(began)})`);
}

function seconds(began) {
  return `${((Date.now() - began) / 1000).toFixed(1)} s`;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
