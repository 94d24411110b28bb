/**
 * The operator page: hosts with their guests, instances, operations and the latest events, read from /v1 and kept fresh
 * by the event stream. Read-only. Everything that comes from the API reaches the page as text, never as markup.
 */

const REFRESH_AFTER_EVENT_MS = 250;
const REFRESH_EVERY_MS = 5000;
const EVENTS_SHOWN = 40;
const OPERATIONS_SHOWN = 20;

/** State words by what they mean for an operator. */
const TONES = {
  good: ['healthy', 'succeeded', 'live', 'issued'],
  wait: ['created', 'placed', 'launching', 'attesting', 'granted', 'requested', 'waiting', 'stopping', 'cordoned'],
  bad: ['failed', 'denied', 'silent'],
};

const byId = (id) => document.getElementById(id);

let token = takeToken();
let lastSeq;
let events = [];
let refreshing = false;
let refreshTimer;
let streamAbort;

/** The token from the address (#token=…, removed at once) or from this tab's storage. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given !== null) {
    history.replaceState(null, '', location.pathname);
    sessionStorage.setItem('token', given);
  }
  return sessionStorage.getItem('token');
}

// --- elements ---

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  const { class: className, title, ...rest } = properties;
  if (className) made.className = className;
  if (title) made.title = title;
  for (const [key, value] of Object.entries(rest)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

function replace(id, children) {
  byId(id).replaceChildren(...children);
}

function cell(content, className) {
  return element('td', className ? { class: className } : {}, content ?? '');
}

/** A state as shape, colour and word. */
function state(word) {
  const tone = Object.keys(TONES).find((name) => TONES[name].includes(word)) ?? 'off';
  return element('span', { class: `state ${tone}` }, word);
}

/** An id, shortened; a click copies it whole. */
function id(value) {
  if (!value) return '';
  const text = String(value);
  const shown = text.length > 16 ? `${text.slice(0, 10)}…` : text;
  const button = element('button', { class: 'id', type: 'button', title: `${text} (click to copy)` }, shown);
  button.addEventListener('click', async () => {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    button.textContent = 'copied';
    setTimeout(() => {
      button.textContent = shown;
    }, 800);
  });
  return button;
}

function emptyRow(columns, text) {
  return element('tr', {}, element('td', { class: 'empty', colspan: String(columns) }, text));
}

function age(time) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

// --- views ---

function showHosts(status, hosts, instances) {
  const shown = hosts.map((host) => {
    const now = status.hosts.find((room) => room.hostId === host.hostId);
    const guests = instances.filter((instance) => instance.hostId === host.hostId && instance.state !== 'removed');
    const word = host.cordoned ? 'cordoned' : now?.live ? 'live' : 'silent';
    return element(
      'article',
      { class: 'card' },
      element('h3', {}, host.hostId, state(word)),
      meter('memory', host.memoryMib, now?.freeMemoryMiB, 'MiB'),
      meter('vcpu', host.vcpu, now?.freeVcpu, ''),
      element(
        'ul',
        { class: 'guests' },
        ...(guests.length === 0
          ? [element('li', {}, 'no guests')]
          : guests.map((guest) => element('li', {}, state(guest.state), ' ', id(guest.instanceId)))),
      ),
    );
  });
  if (shown.length === 0)
    shown.push(element('p', { class: 'empty' }, 'No host is registered yet: POST /v1/hosts, or vouch up.'));
  replace('hosts', shown);
}

function meter(name, total, free, unit) {
  const used = Math.max(0, total - (free ?? total));
  const bar = element('progress', { max: String(total), value: String(used), 'aria-label': name });
  return element(
    'div',
    { class: 'meter' },
    element('span', {}, name),
    bar,
    element('span', {}, `${used} of ${total} ${unit}`),
  );
}

function showInstances(instances, apps) {
  const present = instances.filter((instance) => instance.state !== 'removed');
  byId('instances-count').textContent = present.length > 0 ? String(present.length) : '';
  const names = new Map(apps.map((app) => [app.appId, app.name]));
  const rows = present.map((instance) => {
    const app = element('span', {}, names.get(instance.appId) ?? '', ' ', id(instance.appId));
    return element(
      'tr',
      {},
      cell(state(instance.state)),
      cell(id(instance.instanceId)),
      cell(app),
      cell(instance.hostId),
      cell(instance.epoch === 0 ? '' : String(instance.epoch), 'number'),
      cell(instance.ports.join(', ')),
      cell(id(instance.composeHash)),
      cell(instance.reason, 'long'),
      cell(age(instance.createdAt)),
    );
  });
  const hint = 'Nothing runs yet. Deploy the example: vouch deploy examples/hello/app-compose.json --approve --wait';
  replace('instances', rows.length > 0 ? rows : [emptyRow(9, hint)]);
}

function showOperations(operations) {
  const rows = operations.map((operation) => {
    const tookMs = operation.finishedAt && Date.parse(operation.finishedAt) - Date.parse(operation.requestedAt);
    return element(
      'tr',
      {},
      cell(state(operation.state)),
      cell(id(operation.operationId)),
      cell(operation.command),
      cell(id(operation.target)),
      cell(operation.principal),
      cell([operation.code, operation.reason].filter(Boolean).join(': '), 'long'),
      cell(tookMs ? `${(tookMs / 1000).toFixed(2)} s` : '', 'number'),
      cell(age(operation.requestedAt)),
    );
  });
  replace('operations', rows.length > 0 ? rows : [emptyRow(8, 'No operation was asked for yet.')]);
}

function showEvents() {
  const rows = events.map((event) => {
    const [, , ...about] = event.subject.split('.');
    const told = element('span', {}, ...about.flatMap((part) => [id(part), ' ']));
    return element(
      'tr',
      {},
      cell(String(event.seq), 'number'),
      cell(new Date(event.time).toLocaleTimeString(undefined, { hour12: false })),
      cell(event.type),
      cell(told),
      cell(event.actor),
      cell(detailOf(event), 'long'),
    );
  });
  replace('events', rows.length > 0 ? rows : [emptyRow(6, 'The log is empty.')]);
}

/** The fields of an event that tell its story, without what its subject says already. */
function detailOf({ type, subject, envelope: { data } }) {
  const keys = ['command', 'name', 'step', 'detail', 'failedCheck', 'code', 'reason', 'ports'];
  if (type === 'instance.placed') keys.unshift('hostId', 'epoch');
  return keys
    .filter((key) => data[key] !== undefined && String(data[key]) !== '' && !subject.includes(`.${data[key]}`))
    .map((key) => `${key === 'detail' || key === 'step' ? '' : `${key} `}${data[key]}`)
    .join(' · ');
}

function showStatus(status) {
  const behind = status.projection.state === 'current' ? '' : ` · tables ${status.projection.state}`;
  const jobs = status.jobs.state === 'connected' ? '' : ' · job queue away';
  const open = status.unfinishedOperations;
  byId('connection').textContent =
    `log ${status.log.state}, event ${status.log.position}${behind}${jobs} · ${open} open operation${open === 1 ? '' : 's'}`;
  const unsafe = [...new Set(status.hosts.flatMap((host) => host.unsafe))];
  byId('unsafe').hidden = unsafe.length === 0;
  byId('unsafe').textContent =
    `Development weakenings in force: ${unsafe.join(', ')}. Guests here are not confidential.`;
}

function showProblem(text) {
  byId('problem').hidden = text === '';
  byId('problem').textContent = text;
}

// --- data ---

async function read(path) {
  const response = await fetch(path, { headers: { authorization: `Bearer ${token}` } });
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) {
    forget();
    throw new Error(body.detail ?? 'the token is not known');
  }
  if (!response.ok) throw new Error(body.detail ?? `${path}: HTTP ${response.status}`);
  return body;
}

async function refresh() {
  if (refreshing || token === null) return;
  refreshing = true;
  try {
    const status = await read('/v1/status');
    showStatus(status);
    const [hosts, instances, apps, operations] = await Promise.all([
      read('/v1/hosts'),
      read('/v1/instances?limit=500'),
      read('/v1/apps'),
      read(`/v1/operations?limit=${OPERATIONS_SHOWN}`),
    ]);
    showHosts(status, hosts.items, instances.items);
    showInstances(instances.items, apps.items);
    showOperations(operations.items);
    if (lastSeq === undefined) {
      const after = Math.max(0, (status.projection.position ?? 0) - EVENTS_SHOWN);
      const page = await read(`/v1/events?after=${after}&limit=${EVENTS_SHOWN}`);
      events = page.items.toReversed();
      lastSeq = events[0]?.seq ?? after;
      showEvents();
      void follow();
    }
    showProblem('');
  } catch (error) {
    showProblem(`Not up to date: ${error.message}`);
  } finally {
    refreshing = false;
  }
}

/** Follows the log for as long as the page is open; resumes where it stopped. */
async function follow() {
  for (let pauseMs = 500; token !== null; pauseMs = Math.min(pauseMs * 2, 10_000)) {
    streamAbort = new AbortController();
    try {
      const response = await fetch('/v1/events/stream', {
        headers: { authorization: `Bearer ${token}`, 'last-event-id': String(lastSeq) },
        signal: streamAbort.signal,
      });
      if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
      pauseMs = 500;
      let text = '';
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const messages = text.split('\n\n');
        text = messages.pop();
        for (const message of messages) take(message);
      }
    } catch {
      if (streamAbort.signal.aborted) return;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function take(message) {
  const data = message.split('\n').find((line) => line.startsWith('data: '));
  if (data === undefined) return;
  const event = JSON.parse(data.slice(6));
  lastSeq = event.seq;
  events = [event, ...events].slice(0, EVENTS_SHOWN);
  showEvents();
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(refresh, REFRESH_AFTER_EVENT_MS);
}

// --- page ---

function enter() {
  byId('login').hidden = token !== null;
  document.querySelector('main').hidden = token === null;
  byId('leave').hidden = token === null;
  if (token === null) byId('token').focus();
  else void refresh();
}

function forget() {
  sessionStorage.removeItem('token');
  token = null;
  lastSeq = undefined;
  streamAbort?.abort();
  byId('connection').textContent = '';
  enter();
}

function showTheme() {
  const theme = localStorage.getItem('theme') ?? 'system';
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId('theme').textContent = `Theme: ${theme}`;
}

byId('theme').addEventListener('click', () => {
  const order = ['system', 'light', 'dark'];
  const next = order[(order.indexOf(localStorage.getItem('theme') ?? 'system') + 1) % order.length];
  localStorage.setItem('theme', next);
  showTheme();
});
byId('leave').addEventListener('click', forget);
byId('login').addEventListener('submit', (event) => {
  event.preventDefault();
  token = byId('token').value.trim();
  byId('token').value = '';
  sessionStorage.setItem('token', token);
  showProblem('');
  enter();
});
setInterval(() => {
  if (document.visibilityState === 'visible') void refresh();
}, REFRESH_EVERY_MS);
showTheme();
enter();
