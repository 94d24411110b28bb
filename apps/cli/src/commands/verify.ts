import { readFileSync } from 'node:fs';
import { examineEvidence, MAX_EVIDENCE_BYTES, readEvidence } from '@vouch/attestation';
import type { Command } from 'commander';
import { ApiClient } from '../api-client.js';
import { readContext } from '../context.js';
import { CliFailure, exitCodes, misuse } from '../failure.js';
import { note } from '../output.js';
import { fetchEvidence } from './verify-fetch.js';
import { verifyGrant } from './verify-grant.js';
import { exitCodeOf, printEar, printJson, printTable, type Verification } from './verify-report.js';
import {
  earKeyOf,
  examiningOf,
  nonceOf,
  policyOf,
  tlsRootsOf,
  type VerifyOptions,
  verifyForm,
} from './verify-settings.js';
import { instanceOf, verifyTarget } from './verify-target.js';

/** `vouch verify <url | file | app | instance>`: says what every check came to, and trusts nobody's word for it. */
export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('verify evidence: of a live app, in a file, or behind the newest grant of an app or instance')
    .argument('<target>', 'URL, file (- for standard input), app id or name, or instance id')
    .option('-o, --output <form>', 'table, json or ear (signed attestation result)', 'table')
    .option(
      '--pccs <url>',
      'collateral endpoint, or "intel"; may be repeated',
      (url, list) => [...list, url],
      [] as string[],
    )
    .option('--pccs-ca <file>', 'PEM roots for TLS with the endpoints')
    .option('--collateral <file>', 'collateral bundle: verifies offline')
    .option('--at <time>', 'evaluate at this time (ISO 8601 or Unix seconds)')
    .option('--policy <file>', 'appraisal policy (JSON); the default is the strictest')
    .option('--ear-key <file>', 'PEM private key that signs the result of -o ear')
    .option('--nonce <hex>', 'nonce to echo in the result of -o ear')
    .option('--ca <file>', 'PEM roots for TLS with the app, when its evidence is a document')
    .option(
      '--image-url <template>',
      'where OS images are, with {OS_IMAGE_HASH}, or "dstack"; default: nothing is downloaded',
    )
    .option('--no-cache', 'keep no collateral or images on disk')
    .option('--unsafe-trust-anchor <file>', 'PEM of a root to trust besides Intel’s, for simulated platforms')
    .option('--unsafe-plain-http', 'allow collateral endpoints without TLS on other machines')
    .addHelpText(
      'after',
      '\nExit codes: 0 every check holds, 1 misuse, 2 bad evidence, 3 network or collateral unavailable, 5 denied by policy',
    )
    .action(async (target: string, options: VerifyOptions) => {
      const form = verifyForm(options);
      const key = earKeyOf(options);
      const nonce = nonceOf(options);
      const verification = await verify(target, options);
      if (form === 'json') printJson(verification);
      else if (form === 'table' || key === undefined) printTable(verification);
      else printEar(verification, { key, nonce });
      process.exitCode = exitCodeOf(verification);
    });
}

async function verify(text: string, options: VerifyOptions): Promise<Verification> {
  const target = verifyTarget(text);
  if (target.kind === 'fleet') return verifyInFleet(target.name, options);
  const examining = examiningOf(options);
  if (target.kind === 'url') {
    const { evidence, checks } = await fetchEvidence(target.url, tlsRootsOf(options));
    const examination = await examineEvidence(evidence, examining);
    return { subject: { url: target.url.href }, before: checks, examination };
  }
  const read = readEvidence(readTarget(target.path));
  const subject = { file: target.path };
  if (!read.ok) return { subject, before: read.checks, examination: null };
  return { subject, before: read.checks, examination: await examineEvidence(read.value, examining) };
}

/** The log holds evidence, collateral and time of the decision: options that would replace them are a misunderstanding. */
async function verifyInFleet(name: string, options: VerifyOptions): Promise<Verification> {
  for (const [option, given] of [
    ['--at', options.at !== undefined],
    ['--pccs', options.pccs.length > 0],
    ['--collateral', options.collateral !== undefined],
    ['--unsafe-trust-anchor', options.unsafeTrustAnchor !== undefined],
  ] as const) {
    if (given)
      throw misuse(`${option} goes with a URL or file`, 'a grant is verified with what the log and the context hold');
  }
  const policy = policyOf(options);
  const context = readContext();
  const instance = await instanceOf(new ApiClient(context), name);
  if (instance !== name) note(`app ${name}: instance ${instance}`);
  const { checks, examination } = await verifyGrant(context, instance, policy);
  return { subject: { instance }, before: checks, examination };
}

function readTarget(path: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    throw misuse(`${path}: ${(error as Error).message}`);
  }
  if (bytes.length > MAX_EVIDENCE_BYTES) {
    throw new CliFailure(exitCodes.badEvidence, `${path} has more than ${MAX_EVIDENCE_BYTES} bytes`);
  }
  return bytes;
}
