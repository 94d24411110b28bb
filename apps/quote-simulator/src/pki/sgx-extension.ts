import {
  AsnArray,
  AsnBooleanConverter,
  AsnConvert,
  AsnEnumeratedConverter,
  AsnIntegerConverter,
  AsnOctetStringConverter,
  AsnProp,
  AsnPropTypes,
  AsnType,
  AsnTypeTypes,
} from '@peculiar/asn1-schema';
import { arrayBufferOf } from './x509-signature.js';

/** What the PCK certificate says of a platform (attestation §2). */
export interface SgxPlatform {
  /** 16 bytes. */
  readonly ppid: Uint8Array;
  /** 16 component SVNs, 0-255. */
  readonly sgxComponents: readonly number[];
  readonly pceSvn: number;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** 16 bytes. */
  readonly platformInstanceId: Uint8Array;
}

const SGX = '1.2.840.113741.1.13.1';
/** ENUMERATED values of .5. */
const SGX_TYPE_SCALABLE = 1;

@AsnType({ type: AsnTypeTypes.Sequence })
class SgxEntry {
  @AsnProp({ type: AsnPropTypes.ObjectIdentifier })
  oid: string;

  @AsnProp({ type: AsnPropTypes.Any })
  value: ArrayBuffer;

  constructor(oid = '', value: ArrayBuffer = new ArrayBuffer(0)) {
    this.oid = oid;
    this.value = value;
  }
}

@AsnType({ type: AsnTypeTypes.Sequence, itemType: SgxEntry })
class SgxEntries extends AsnArray<SgxEntry> {}

/** DER of the SGX extension of a PCK certificate issued by a Platform CA: seven entries, the TCB with all eighteen. */
export function sgxExtension(platform: SgxPlatform): ArrayBuffer {
  const tcb = [
    ...platform.sgxComponents.map((svn, index) => new SgxEntry(`${SGX}.2.${index + 1}`, integer(svn))),
    new SgxEntry(`${SGX}.2.17`, integer(platform.pceSvn)),
    new SgxEntry(`${SGX}.2.18`, octets(Uint8Array.from(platform.sgxComponents))),
  ];
  const configuration = [
    new SgxEntry(`${SGX}.7.1`, boolean(true)),
    new SgxEntry(`${SGX}.7.2`, boolean(false)),
    new SgxEntry(`${SGX}.7.3`, boolean(false)),
  ];
  return sequence([
    new SgxEntry(`${SGX}.1`, octets(platform.ppid)),
    new SgxEntry(`${SGX}.2`, sequence(tcb)),
    new SgxEntry(`${SGX}.3`, octets(platform.pceId)),
    new SgxEntry(`${SGX}.4`, octets(platform.fmspc)),
    new SgxEntry(`${SGX}.5`, AsnEnumeratedConverter.toASN(SGX_TYPE_SCALABLE).toBER()),
    new SgxEntry(`${SGX}.6`, octets(platform.platformInstanceId)),
    new SgxEntry(`${SGX}.7`, sequence(configuration)),
  ]);
}

function sequence(entries: SgxEntry[]): ArrayBuffer {
  return AsnConvert.serialize(new SgxEntries(entries));
}

function integer(value: number): ArrayBuffer {
  return AsnIntegerConverter.toASN(value).toBER();
}

function octets(value: Uint8Array): ArrayBuffer {
  return AsnOctetStringConverter.toASN(arrayBufferOf(value)).toBER();
}

function boolean(value: boolean): ArrayBuffer {
  return AsnBooleanConverter.toASN(value).toBER();
}
