// Embeds hello.mjs in app-compose.json, and a copy with one changed line in app-compose.unapproved.json.
// The result depends on hello.mjs alone: run it twice, get the same bytes. `--check` compares instead of writing.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const END_OF_SCRIPT = 'HELLO_MJS_ENDS_HERE';
const APPROVED = "const greeting = 'Hello from a confidential guest';";
const CHANGED = "const greeting = 'Hello from code that nobody approved';";

/** Text of an app-compose.json that runs `source`. */
function compose(source) {
  if (source.includes(END_OF_SCRIPT)) throw new Error(`hello.mjs must not contain ${END_OF_SCRIPT}`);
  const script = [
    `cat > hello.mjs <<'${END_OF_SCRIPT}'`,
    source.trimEnd(),
    END_OF_SCRIPT,
    'exec "$VOUCH_NODE_BIN" hello.mjs',
    '',
  ].join('\n');
  const app = {
    manifest_version: 2,
    name: 'hello',
    runner: 'bash',
    key_provider: 'kms',
    kms_enabled: true,
    gateway_enabled: true,
    public_tcbinfo: true,
    allowed_envs: [],
    port_policy: { ports: [{ port: 8080 }, { port: 8443 }] },
    bash_script: script,
  };
  return `${JSON.stringify(app, null, 2)}\n`;
}

const source = readFileSync(here('hello.mjs'), 'utf8');
if (source.split(APPROVED).length !== 2) throw new Error('hello.mjs must have its greeting line exactly once');
const outputs = {
  'app-compose.json': compose(source),
  'app-compose.unapproved.json': compose(source.replace(APPROVED, CHANGED)),
};

for (const [name, text] of Object.entries(outputs)) {
  if (!process.argv.includes('--check')) writeFileSync(here(name), text);
  else if (readFileSync(here(name), 'utf8') !== text) {
    console.error(`${name} is not what hello.mjs gives; run node examples/hello/build.mjs`);
    process.exitCode = 1;
  }
}
