// The hello app: a page that shows who it is, and what it could find out about the ground it stands on.
//
// It runs inside a guest, talks to dstack.sock and needs nothing but Node. `build.mjs` embeds this file, byte for byte,
// in app-compose.json; the SHA-256 of that file is the compose hash the guest measures and the policy approves.
import { createECDH, createHash, randomBytes } from 'node:crypto';
import { createServer as createHttpServer, request } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createSecureContext } from 'node:tls';

const greeting = 'Hello from a confidential guest';

const address = process.env.VOUCH_ADDRESS ?? '0.0.0.0';
const agentSocket = (process.env.DSTACK_AGENT_ADDRESS ?? 'unix:/var/run/dstack.sock').replace(/^unix:/, '');
const HTTP_PORT = 8080;
const HTTPS_PORT = 8443;

/** Calls a method of dstack.sock. */
function dstack(method, params) {
  const body = JSON.stringify(params);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: agentSocket, path: `/${method}`, method: 'POST', headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => {
        try {
          const json = JSON.parse(text);
          if (answer.statusCode === 200) resolve(json);
          else reject(new Error(`${method}: ${json.error}`));
        } catch (error) {
          reject(error);
        }
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

// --- What a TDX quote (version 4) says: offsets of the TD report inside it, in bytes. -------------------------------
const QUOTE = {
  mrTd: [184, 48],
  rtMr0: [376, 48],
  rtMr1: [424, 48],
  rtMr2: [472, 48],
  rtMr3: [520, 48],
  reportData: [568, 64],
};

function readQuote(quote) {
  const fields = Object.entries(QUOTE).map(([name, [at, size]]) => [
    name,
    quote.subarray(at, at + size).toString('hex'),
  ]);
  return { version: quote.readUInt16LE(0), teeType: quote.readUInt32LE(4), ...Object.fromEntries(fields) };
}

/** Replays the runtime events to RTMR3. Their digests are computed here, from name and payload. */
function replayRtmr3(events) {
  let register = Buffer.alloc(48);
  for (const { imr, event_type: type, event, event_payload: payload } of events) {
    if (imr !== 3) continue;
    const typeBytes = Buffer.alloc(4);
    typeBytes.writeUInt32LE(type);
    const digest = createHash('sha384').update(typeBytes).update(`:${event}:`).update(Buffer.from(payload, 'hex'));
    register = createHash('sha384').update(register).update(digest.digest()).digest();
  }
  return register.toString('hex');
}

function check(name, passed, detail) {
  return { name, outcome: passed ? 'pass' : 'fail', detail };
}

/** Everything the page shows: asked for anew on every visit, so that nothing on it is old. */
async function lookAround() {
  const nonce = randomBytes(32).toString('hex');
  const [info, key, answer] = await Promise.all([
    dstack('Info', {}),
    dstack('GetKey', { path: 'hello', purpose: 'page' }),
    dstack('GetQuote', { report_data: nonce }),
  ]);
  const ecdh = createECDH('secp256k1');
  ecdh.setPrivateKey(Buffer.from(key.key, 'hex'));
  const quote = readQuote(Buffer.from(answer.quote, 'hex'));
  const events = JSON.parse(answer.event_log);
  const measured = (name) => events.find(({ imr, event }) => imr === 3 && event === name)?.event_payload;
  const vmConfig = JSON.parse(answer.vm_config);
  const checks = [
    check('quote is a TDX quote', quote.version === 4 && quote.teeType === 0x81, `version ${quote.version}`),
    check('quote is fresh', quote.reportData.startsWith(nonce), 'it carries the nonce made for this visit'),
    check('event log replays', replayRtmr3(events) === quote.rtMr3, 'its runtime events give RTMR3 of the quote'),
    check('app id measured', measured('app-id') === info.app_id, 'the event log names this app'),
    check('compose hash measured', measured('compose-hash') === info.compose_hash, 'the event log names this compose'),
    check('instance id measured', measured('instance-id') === info.instance_id, 'the event log names this instance'),
    {
      name: 'quote signature and TCB',
      outcome: 'skipped',
      detail: 'not checked by this page: the KMS checked them before it granted the keys (`vouch verify`)',
    },
    {
      name: 'key signature chain',
      outcome: 'skipped',
      detail: `${key.signature_chain.length} links came with the key; a client verifies them against the KMS root`,
    },
  ];
  return {
    greeting,
    appName: info.app_name,
    appId: info.app_id,
    instanceId: info.instance_id,
    composeHash: info.compose_hash,
    osImageHash: info.os_image_hash,
    publicKey: { path: 'hello', algorithm: 'secp256k1', value: ecdh.getPublicKey('hex', 'compressed') },
    quote: { ...quote, bytes: answer.quote.length / 2 },
    simulated: vmConfig.vouch_driver === 'process',
    checks,
    verdict: checks.every(({ outcome }) => outcome !== 'fail') ? 'consistent' : 'inconsistent',
    time: new Date().toISOString(),
  };
}

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text) => String(text).replace(/[&<>"]/g, (character) => escapes[character]);
const row = (label, value) => `<dt>${label}</dt><dd><code>${escaped(value)}</code></dd>`;
const marks = { pass: '✓', fail: '✗', skipped: '–' };

function page(facts) {
  const checks = facts.checks
    .map(
      ({ name, outcome, detail }) =>
        `<li class="${outcome}"><b>${marks[outcome]}</b> ${escaped(name)}<small>${escaped(detail)}</small></li>`,
    )
    .join('');
  const note = facts.simulated
    ? '<p class="note">This guest is a process on simulated TDX: for development. Its quotes prove nothing about hardware.</p>'
    : '';
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(facts.appName)}</title><style>
:root{color-scheme:light dark;--line:#8884;--ok:#1a7f4b;--bad:#c62f2f}
body{font:16px/1.55 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1.25rem}
h1{font-size:1.6rem;font-weight:600;margin:0 0 .25rem}h2{font-size:1rem;margin:2rem 0 .5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.25rem;margin:0}dt{opacity:.65}dd{margin:0;min-width:0}
code{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}ul{list-style:none;margin:0;padding:0}
li{padding:.35rem 0;border-top:1px solid var(--line)}li b{display:inline-block;width:1.4rem}small{display:block;opacity:.65;margin-left:1.65rem}
.pass b{color:var(--ok)}.fail b{color:var(--bad)}.note{border-left:3px solid var(--line);padding-left:.9rem;opacity:.8}footer{margin-top:2rem;opacity:.6}
</style></head><body><h1>${escaped(facts.greeting)}</h1>
<p>What this page could check about its own ground is <strong>${facts.verdict}</strong>.</p>${note}
<h2>Identity</h2><dl>${row('app id', facts.appId)}${row('instance id', facts.instanceId)}${row('compose hash', facts.composeHash)}${row('OS image', facts.osImageHash)}</dl>
<h2>A key only this app can derive</h2><dl>${row('path', facts.publicKey.path)}${row('public key', facts.publicKey.value)}</dl>
<h2>Quote</h2><dl>${row('size', `${facts.quote.bytes} bytes`)}${row('MRTD', facts.quote.mrTd)}${row('RTMR0', facts.quote.rtMr0)}${row('RTMR1', facts.quote.rtMr1)}${row('RTMR2', facts.quote.rtMr2)}${row('RTMR3', facts.quote.rtMr3)}${row('report data', facts.quote.reportData)}</dl>
<h2>Checks made by this page</h2><ul>${checks}</ul>
<footer>${escaped(facts.time)} · <a href="/json">the same as JSON</a></footer></body></html>`;
}

async function serve(incoming, response) {
  const path = (incoming.url ?? '/').split('?')[0];
  const send = (status, type, text) => {
    response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' });
    response.end(incoming.method === 'HEAD' ? undefined : text);
  };
  try {
    if (path === '/') send(200, 'text/html', page(await lookAround()));
    else if (path === '/json') send(200, 'application/json', `${JSON.stringify(await lookAround(), null, 2)}\n`);
    else if (path === '/healthz') send(200, 'text/plain', 'ok\n');
    else send(404, 'text/plain', 'not found\n');
  } catch (error) {
    console.error(error);
    send(503, 'text/plain', 'the guest agent does not answer; try again\n');
  }
}

// --- TLS for passthrough (<app id>-8443s.<base domain>): the key is made in this guest, the certificate by the KMS. --
const contexts = new Map();
const MAX_NAMES = 8;

function secureContext(serverName) {
  const known = contexts.get(serverName);
  if (known !== undefined) return known;
  if (contexts.size >= MAX_NAMES) throw new Error('too many server names');
  const context = dstack('Info', {})
    .then(({ app_id: appId, app_name: subject }) => {
      if (!serverName.startsWith(appId) && serverName !== 'localhost')
        throw new Error(`not a name of this app: ${serverName}`);
      return dstack('GetTlsKey', { subject, alt_names: [serverName], usage_server_auth: true });
    })
    .then(({ key, certificate_chain: chain }) => createSecureContext({ key, cert: chain.join('\n') }));
  contexts.set(serverName, context);
  context.catch(() => contexts.delete(serverName));
  return context;
}

async function chooseCertificate(serverName, done) {
  try {
    done(null, await secureContext(serverName));
  } catch (error) {
    console.error(`no certificate: ${error.message}`);
    done(error);
  }
}

createHttpServer(serve).listen(HTTP_PORT, address, () => console.log(`http://${address}:${HTTP_PORT}`));
createHttpsServer({ SNICallback: chooseCertificate }, serve).listen(HTTPS_PORT, address, () =>
  console.log(`https://${address}:${HTTPS_PORT}`),
);
