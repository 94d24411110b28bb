import { describeDifference } from './difference.js';
import type { GrantRecheck, RecheckedCheck } from './recheck-grant.js';
import type { ReplayReport } from './replay-report.js';

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #d8dee4}
code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}summary{cursor:pointer;padding:.3rem 0}
.pass,.confirmed{color:#116329}.fail,.differs{color:#a40e26;font-weight:600}.skipped{color:#7d4e00}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}th,td{border-color:#30363d}
.pass,.confirmed{color:#3fb950}.fail,.differs{color:#ff7b72}.skipped{color:#d29922}}`;

/** The report as one HTML file that needs nothing else: no script, no font, no link to anywhere. */
export function reportHtml(report: ReplayReport, madeAt: Date): string {
  const { equal, from, events, root, grants, checks, difference, durationMs } = report;
  const verdict = equal ? 'Equal' : 'Different';
  const range = events === 0 ? 'no events' : `events ${from} to ${from + events - 1}`;
  const facts: [string, string][] = [
    ['Replayed', `${range}, in ${(durationMs / 1000).toFixed(1)} s`],
    ['Merkle root', root],
    ['Checkpoints', String(report.checkpoints)],
    ['Not projected yet', String(report.notProjectedYet)],
    ['Report made', madeAt.toISOString()],
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Vouch replay: ${verdict}</title><style>${STYLE}</style></head><body>
<h1>Replay: <span class="${equal ? 'pass' : 'fail'}">${verdict}</span></h1>
${difference === null ? '' : `<p class="fail">${escaped(describeDifference(difference))}</p>`}
<table>${facts.map(([name, value]) => `<tr><th scope="row">${name}</th><td><code>${escaped(value)}</code></td></tr>`).join('\n')}</table>
<h2>What was checked</h2>
<table><tr><th>Check</th><th>Outcome</th><th>Detail</th></tr>
${checks.map(({ name, outcome, detail }) => row([escaped(name), badge(outcome), escaped(detail)])).join('\n')}</table>
<h2>Grant decisions, verified again</h2>
<p>${grants.decided} decided, <span class="confirmed">${grants.confirmed} confirmed</span>, <span class="differs">${grants.differing} differ</span>,
<span class="skipped">${grants.skipped} not verified again</span>${grants.listed.length < grants.decided ? `; the first ${grants.listed.length} are listed` : ''}.</p>
${grants.listed.map(grantHtml).join('\n')}
<h2>Rows compared</h2>
<table><tr><th>Table</th><th>Rows</th></tr>${Object.entries(report.rows)
    .map(([table, count]) => row([escaped(table), String(count)]))
    .join('\n')}</table>
</body></html>
`;
}

function grantHtml(grant: GrantRecheck): string {
  const { seq, instanceId, decidedAt, outcome, verdict, reason, policy, checks } = grant;
  const read = policy === null ? 'policy not reached' : `policy as logged: ${policy}`;
  return `<details${verdict === 'differs' ? ' open' : ''}><summary>Event ${seq}: ${outcome} ${badge(verdict)}
<code>${escaped(instanceId)}</code> ${escaped(decidedAt)}, ${escaped(read)}${reason === '' ? '' : `. ${escaped(reason)}`}</summary>
<table><tr><th>Check</th><th>Logged</th><th>Again</th><th>Detail</th></tr>
${checks.map(checkHtml).join('\n')}</table></details>`;
}

function checkHtml({ name, logged, again, detail }: RecheckedCheck): string {
  return row([`<code>${escaped(name)}</code>`, badge(logged), badge(again), escaped(detail)]);
}

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

/** Only words of our own reach a class name. */
function badge(word: 'pass' | 'fail' | 'skipped' | 'confirmed' | 'differs'): string {
  return `<span class="${word}">${word}</span>`;
}

/** Everything that came out of the log is text, never markup. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
