import { type JsonReader, readJson } from '../json-reader.js';
import { type IsvLevel, readIsvLevels } from './tcb-level.js';

/** Identity of Intel's quoting enclave, version 2: QE for SGX quotes, TD_QE for TDX quotes. */
export interface EnclaveIdentity {
  readonly id: 'QE' | 'TD_QE' | 'QVE' | 'QAE';
  readonly issueDate: Date;
  readonly nextUpdate: Date;
  readonly evaluationDataNumber: number;
  /** 4 bytes in report order. */
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  /** 16 bytes in report order. */
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  /** 32 bytes. */
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  /** Descending by ISV SVN. */
  readonly levels: readonly IsvLevel[];
}

const IDS = ['QE', 'TD_QE', 'QVE', 'QAE'] as const;

/** @throws Refusal `QE_IDENTITY_FORMAT`; the signature is checked apart, over the same text. */
export function readEnclaveIdentity(text: string): EnclaveIdentity {
  const root = readJson(text, 'qe_identity', 'QE_IDENTITY_FORMAT');
  root.member('version').integer(2, 2);
  return {
    id: readId(root.member('id')),
    issueDate: root.member('issueDate').time(),
    nextUpdate: root.member('nextUpdate').time(),
    evaluationDataNumber: root.member('tcbEvaluationDataNumber').integer(0, 0xffffffff),
    miscSelect: root.member('miscselect').hex(4),
    miscSelectMask: root.member('miscselectMask').hex(4),
    attributes: root.member('attributes').hex(16),
    attributesMask: root.member('attributesMask').hex(16),
    mrSigner: root.member('mrsigner').hex(32),
    isvProdId: root.member('isvprodid').integer(0, 65535),
    levels: readIsvLevels(root.member('tcbLevels')),
  };
}

function readId(field: JsonReader): EnclaveIdentity['id'] {
  const text = field.string();
  const id = IDS.find((candidate) => candidate === text);
  if (id === undefined) throw field.refuse(`is not one of ${IDS.join(', ')}`);
  return id;
}
