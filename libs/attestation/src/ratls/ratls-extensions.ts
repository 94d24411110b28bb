import { gunzipSync } from 'node:zlib';
import { Refusal } from '../refusal.js';
import { DER, DerReader } from '../x509/der-reader.js';
import { encodeDer, octetString } from './der-writer.js';

/** dstack's RA-TLS extensions, 1.3.6.1.4.1.62397.1.n: contents of their object identifiers as hex (dstack-kms §8). */
export const RATLS_OID = {
  quote: '2b0601040183e73d0101',
  eventLog: '2b0601040183e73d0102',
  appId: '2b0601040183e73d0103',
  usage: '2b0601040183e73d0104',
  attestation: '2b0601040183e73d0108',
  appInfo: '2b0601040183e73d0109',
} as const;

/** What the extensions of a certificate say; an absent one is left out. */
export interface RatlsExtensions {
  /** .1, legacy: raw TDX quote. */
  readonly quote?: Uint8Array;
  /** .2, legacy: JSON text of the event log. */
  readonly eventLog?: string;
  /** .3 */
  readonly appId?: Uint8Array;
  /** .4, for example `kms:rpc`, `app:ca`, `app:custom`. */
  readonly usage?: string;
  /** .8: VersionedAttestation, for `readAttestation`. */
  readonly attestation?: Uint8Array;
  /** .9: for `readAppInfo`. Left packed, since nothing may depend on what the requester said of itself. */
  readonly appInfo?: Uint8Array;
}

/** One extension ready for a certificate; never critical. */
export interface EncodedExtension {
  /** Content of the object identifier, hex. */
  readonly oid: string;
  /** Content of extnValue: itself a DER OCTET STRING around the raw bytes. */
  readonly value: Uint8Array;
}

const CODE = 'RATLS_FORMAT';
const GZIP_MAGIC = Buffer.from('ELGZv1', 'latin1');
const MAX_UNZIPPED_BYTES = 16 * 1024;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Picks dstack's extensions out of a certificate's (values by object identifier hex, as `extnValue` holds them).
 * @throws Refusal `DER_FORMAT`, `RATLS_FORMAT`
 */
export function readRatlsExtensions(extensions: ReadonlyMap<string, Uint8Array>): RatlsExtensions {
  const content = (oid: string): Uint8Array | undefined => {
    const value = extensions.get(oid);
    return value === undefined ? undefined : unwrap(value);
  };
  const quote = content(RATLS_OID.quote);
  const eventLog = content(RATLS_OID.eventLog);
  const appId = content(RATLS_OID.appId);
  const usage = content(RATLS_OID.usage);
  const attestation = content(RATLS_OID.attestation);
  const appInfo = content(RATLS_OID.appInfo);
  return {
    ...(quote === undefined ? {} : { quote }),
    ...(eventLog === undefined ? {} : { eventLog: readEventLogText(eventLog) }),
    ...(appId === undefined ? {} : { appId }),
    ...(usage === undefined ? {} : { usage: readText(usage, 'usage') }),
    ...(attestation === undefined ? {} : { attestation }),
    ...(appInfo === undefined ? {} : { appInfo }),
  };
}

/** The extensions in the order of their numbers. The event log is written as plain JSON text. */
export function writeRatlsExtensions(extensions: RatlsExtensions): readonly EncodedExtension[] {
  const { quote, eventLog, appId, usage, attestation, appInfo } = extensions;
  const contents: readonly (readonly [string, Uint8Array | undefined])[] = [
    [RATLS_OID.quote, quote],
    [RATLS_OID.eventLog, eventLog === undefined ? undefined : Buffer.from(eventLog, 'utf8')],
    [RATLS_OID.appId, appId],
    [RATLS_OID.usage, usage === undefined ? undefined : Buffer.from(usage, 'utf8')],
    [RATLS_OID.attestation, attestation],
    [RATLS_OID.appInfo, appInfo],
  ];
  return contents.flatMap(([oid, content]) =>
    content === undefined ? [] : [{ oid, value: encodeDer(octetString(content)) }],
  );
}

/** dstack wraps every value in an OCTET STRING of its own, inside the one X.509 has. */
function unwrap(value: Uint8Array): Uint8Array {
  const reader = new DerReader(value);
  const { content } = reader.next(DER.octetString, 'extension content');
  reader.expectEnd('extension content');
  return content;
}

/** JSON text, or "ELGZv1" and gzip of it; at most 16 KiB unpacked. */
function readEventLogText(content: Uint8Array): string {
  const magic = content.subarray(0, GZIP_MAGIC.length);
  if (Buffer.compare(magic, GZIP_MAGIC) !== 0) return readText(content, 'event log');
  try {
    const unzipped = gunzipSync(content.subarray(GZIP_MAGIC.length), { maxOutputLength: MAX_UNZIPPED_BYTES });
    return readText(unzipped, 'event log');
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(CODE, `the event log extension is not gzip of at most ${MAX_UNZIPPED_BYTES} bytes`);
  }
}

function readText(content: Uint8Array, field: string): string {
  try {
    return UTF8.decode(content);
  } catch {
    throw new Refusal(CODE, `the ${field} extension is not UTF-8`);
  }
}
