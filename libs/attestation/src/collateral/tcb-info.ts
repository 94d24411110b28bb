import { toHex } from '../bytes.js';
import { type JsonReader, readJson } from '../json-reader.js';
import { type IsvLevel, readIsvLevels, readLevelFacts, readLevels, type TcbLevelFacts } from './tcb-level.js';

/** A platform level. `tdx` is null in SGX documents. */
export interface PlatformLevel extends TcbLevelFacts {
  /** 16 component SVNs. */
  readonly sgx: readonly number[];
  readonly pceSvn: number;
  readonly tdx: readonly number[] | null;
}

/** What a TDX module must look like. */
export interface ModuleReference {
  /** 48 bytes. */
  readonly mrSigner: Uint8Array;
  /** 8 bytes. */
  readonly attributes: Uint8Array;
}

export interface ModuleIdentity extends ModuleReference {
  /** `TDX_` and the two hex digits of the module's major version, upper case. */
  readonly id: string;
  /** Descending by ISV SVN. */
  readonly levels: readonly IsvLevel[];
}

/** TCB info version 2 (SGX only) or 3 (Intel PCS API v3/v4). */
export interface TcbInfo {
  readonly id: 'SGX' | 'TDX';
  readonly version: 2 | 3;
  readonly issueDate: Date;
  readonly nextUpdate: Date;
  readonly fmspc: string;
  readonly pceId: string;
  readonly evaluationDataNumber: number;
  /** Descending: SGX components, then PCESVN, then TDX components. */
  readonly levels: readonly PlatformLevel[];
  readonly tdxModule: ModuleReference | null;
  readonly moduleIdentities: readonly ModuleIdentity[];
}

const COMPONENTS = 16;
const CODE = 'TCB_INFO_FORMAT';

/** @throws Refusal `TCB_INFO_FORMAT`; the signature is checked apart, over the same text. */
export function readTcbInfo(text: string): TcbInfo {
  const root = readJson(text, 'tcb_info', CODE);
  const version = root.member('version').integer(2, 3) === 2 ? 2 : 3;
  const id = version === 2 ? 'SGX' : readId(root.member('id'));
  if (id === 'SGX') refuseTdxFields(root);
  root.member('tcbType').integer(0, 0);
  return {
    id,
    version,
    issueDate: root.member('issueDate').time(),
    nextUpdate: root.member('nextUpdate').time(),
    fmspc: toHex(root.member('fmspc').hex(6)),
    pceId: toHex(root.member('pceId').hex(2)),
    evaluationDataNumber: root.member('tcbEvaluationDataNumber').integer(0, 0xffffffff),
    levels: readPlatformLevels(root.member('tcbLevels'), version, id),
    tdxModule: id === 'TDX' ? readModule(root.member('tdxModule')) : null,
    moduleIdentities:
      (id === 'TDX' ? root.optional('tdxModuleIdentities')?.array(256) : undefined)?.map(readIdentity) ?? [],
  };
}

function readId(field: JsonReader): 'SGX' | 'TDX' {
  const id = field.string();
  if (id !== 'SGX' && id !== 'TDX') throw field.refuse('is neither SGX nor TDX');
  return id;
}

function refuseTdxFields(root: JsonReader): void {
  for (const name of ['tdxModule', 'tdxModuleIdentities']) {
    if (root.optional(name) !== undefined) throw root.refuse(`has ${name} although it is about SGX`);
  }
}

function readModule(field: JsonReader): ModuleReference {
  field.member('attributesMask').hex(8);
  return { mrSigner: field.member('mrsigner').hex(48), attributes: field.member('attributes').hex(8) };
}

function readIdentity(field: JsonReader): ModuleIdentity {
  return {
    id: field.member('id').string().toUpperCase(),
    ...readModule(field),
    levels: readIsvLevels(field.member('tcbLevels')),
  };
}

function readPlatformLevels(list: JsonReader, version: 2 | 3, id: 'SGX' | 'TDX'): readonly PlatformLevel[] {
  const levels = readLevels(list, (level): PlatformLevel => {
    const tcb = level.member('tcb');
    if (id === 'SGX' && tcb.optional('tdxtcbcomponents') !== undefined) throw tcb.refuse('has TDX components');
    return {
      sgx: version === 2 ? readNamedComponents(tcb) : readComponents(tcb.member('sgxtcbcomponents')),
      pceSvn: tcb.member('pcesvn').integer(0, 65535),
      tdx: id === 'TDX' ? readComponents(tcb.member('tdxtcbcomponents')) : null,
      ...readLevelFacts(level),
    };
  });
  const sorted = levels.toSorted((a, b) => -compareLevels(a, b));
  const twins = sorted.some((level, i) => {
    const next = sorted[i + 1];
    return next !== undefined && compareLevels(level, next) === 0;
  });
  if (twins) throw list.refuse('has two equal levels');
  return sorted;
}

function readComponents(list: JsonReader): readonly number[] {
  return list.integersOf('svn', COMPONENTS, 0, 255);
}

/** Version 2 names each component: sgxtcbcomp01svn to sgxtcbcomp16svn. */
function readNamedComponents(tcb: JsonReader): readonly number[] {
  return Array.from({ length: COMPONENTS }, (_, i) =>
    tcb.member(`sgxtcbcomp${String(i + 1).padStart(2, '0')}svn`).integer(0, 255),
  );
}

function compareLevels(a: PlatformLevel, b: PlatformLevel): number {
  return compareLists(a.sgx, b.sgx) || a.pceSvn - b.pceSvn || compareLists(a.tdx ?? [], b.tdx ?? []);
}

/** Of two lists of one length. */
function compareLists(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
