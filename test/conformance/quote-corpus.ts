import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QuoteCollateralV3 } from '@vouch/attestation';

/** How the corpus of real quotes is put together and edited; its README.json is the specification of both. */
export interface CorpusCase {
  readonly id: string;
  readonly quote: string;
  readonly tcb: string;
  readonly qe: string;
  readonly pckCrl: string;
  readonly rootCrl: string;
  readonly pckCa: string;
  readonly tcbSigner: string;
  /** Unix seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly now: number;
  readonly expected:
    | {
        readonly result: 'ok';
        readonly status: string;
        readonly advisoryIds: readonly string[];
        readonly qeStatus: string;
        readonly tcbDate: string;
        readonly debug: boolean;
      }
    | { readonly result: 'error'; readonly error: string };
}

export interface Mutation {
  readonly id: string;
  readonly base: string;
  readonly ops: readonly Operation[];
  readonly expect: 'reject' | 'same';
}

interface Operation {
  readonly op: string;
  readonly target?: string;
  readonly offset?: number;
  readonly length?: number;
  readonly value?: number | string;
  readonly hex?: string;
  readonly from?: string;
  readonly to?: string;
  readonly case?: string;
}

/** One verification to run. */
export interface Assembled {
  readonly quote: Uint8Array;
  readonly collateral: QuoteCollateralV3;
  /** Unix seconds. */
  readonly now: number;
}

/** The document and signature of a signed file, cut out of the text. */
function cutSigned(text: string, key: string): readonly [document: string, signature: string] {
  const start = text.indexOf(`{"${key}":`) + key.length + 4;
  const end = text.lastIndexOf(',"signature":"');
  const signatureAt = end + ',"signature":"'.length;
  return [text.slice(start, end), text.slice(signatureAt, signatureAt + 128)];
}

export function assembleCase(corpus: string, entry: CorpusCase): Assembled {
  const text = (path: string): string => readFileSync(join(corpus, path), 'utf8');
  const crl = (name: string): string => readFileSync(join(corpus, `crl/${name}.der`)).toString('hex');
  const root = text('certs/root.pem');
  const signerChain = text(`certs/${entry.tcbSigner}.pem`) + root;
  const [tcbInfo, tcbInfoSignature] = cutSigned(text(`tcb/${entry.tcb}.json`), 'tcbInfo');
  const [qeIdentity, qeIdentitySignature] = cutSigned(text(`qe/${entry.qe}.json`), 'enclaveIdentity');
  return {
    quote: new Uint8Array(readFileSync(join(corpus, `quotes/${entry.quote}.bin`))),
    now: entry.now,
    collateral: {
      tcb_info: tcbInfo,
      tcb_info_signature: tcbInfoSignature,
      tcb_info_issuer_chain: signerChain,
      qe_identity: qeIdentity,
      qe_identity_signature: qeIdentitySignature,
      qe_identity_issuer_chain: signerChain,
      pck_crl: crl(entry.pckCrl),
      root_ca_crl: crl(entry.rootCrl),
      pck_crl_issuer_chain: text(`certs/pck-${entry.pckCa}-ca.pem`) + root,
    },
  };
}

const HEX_FIELDS: ReadonlySet<string> = new Set([
  'pck_crl',
  'root_ca_crl',
  'tcb_info_signature',
  'qe_identity_signature',
]);

/** Applies the edits of a mutation in order. @throws Error on an operation the README does not name */
export function applyMutation(
  corpus: string,
  base: Assembled,
  mutation: Mutation,
  cases: ReadonlyMap<string, CorpusCase>,
): Assembled {
  let { quote, now } = base;
  const collateral: Record<string, string> = { ...base.collateral };
  for (const operation of mutation.ops) {
    const target = operation.target ?? '';
    if (operation.op === 'now') now = Number(operation.value);
    else if (operation.op === 'replace') {
      collateral[target] = (collateral[target] ?? '').replace(operation.from ?? '', () => operation.to ?? '');
    } else if (operation.op === 'set') collateral[target] = String(operation.value);
    else if (operation.op === 'copy') collateral[target] = collateral[operation.from ?? ''] ?? '';
    else if (operation.op === 'take') {
      const source = cases.get(operation.case ?? '');
      if (source === undefined) throw new Error(`${mutation.id}: no case ${operation.case}`);
      const donor = assembleCase(corpus, source);
      if (target === 'quote') quote = donor.quote;
      else collateral[target] = new Map(Object.entries(donor.collateral)).get(target) ?? '';
    } else if (target === 'quote') quote = editBytes(quote, operation);
    else if (HEX_FIELDS.has(target)) {
      const edited = editBytes(new Uint8Array(Buffer.from(collateral[target] ?? '', 'hex')), operation);
      collateral[target] = Buffer.from(edited).toString('hex');
    } else {
      const edited = editBytes(new Uint8Array(Buffer.from(collateral[target] ?? '', 'utf8')), operation);
      collateral[target] = Buffer.from(edited).toString('utf8');
    }
  }
  return { quote, now, collateral: collateral as unknown as QuoteCollateralV3 };
}

function editBytes(input: Uint8Array, operation: Operation): Uint8Array {
  if (operation.op === 'truncate') return input.slice(0, operation.length);
  if (operation.op === 'append') return new Uint8Array(Buffer.concat([input, Buffer.from(operation.hex ?? '', 'hex')]));
  const bytes = Buffer.from(input);
  const offset = (operation.offset ?? 0) < 0 ? bytes.length + (operation.offset ?? 0) : (operation.offset ?? 0);
  const value = Number(operation.value);
  switch (operation.op) {
    case 'xor':
      bytes.writeUInt8((bytes.readUInt8(offset) ^ value) & 0xff, offset);
      break;
    case 'u8':
      bytes.writeUInt8(value, offset);
      break;
    case 'u16':
      bytes.writeUInt16LE(value, offset);
      break;
    case 'u32':
      bytes.writeUInt32LE(value, offset);
      break;
    case 'fill':
      bytes.fill(value, offset, offset + (operation.length ?? 0));
      break;
    case 'hex':
      bytes.set(Buffer.from(String(operation.value), 'hex'), offset);
      break;
    default:
      throw new Error(`unknown operation ${operation.op}`);
  }
  return new Uint8Array(bytes);
}
