import { concatBytes } from '../bytes.js';
import { DER } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';
import { commonName, der, integer, octets, oid, sequence, time } from './der-writer.js';
import { newIdentity, signRaw, type TestIdentity } from './test-pki.js';

const ALGORITHM = sequence(oid(OID.ecdsaWithSha256));

/** A self-signed certificate with extensions as dstack's RA-TLS certificates carry them: OID hex to raw content. */
export function ratlsCertificate(
  extensions: Readonly<Record<string, Uint8Array>>,
  key: TestIdentity = newRatlsKey(),
): Uint8Array {
  const list = Object.entries(extensions).map(([id, value]) => sequence(oid(id), octets(octets(value))));
  const tbs = sequence(
    der(DER.context0, integer(2)),
    integer(9),
    ALGORITHM,
    commonName(key.name),
    sequence(time(new Date('2020-01-01T00:00:00Z')), time(new Date('2045-01-01T00:00:00Z'))),
    commonName(key.name),
    key.spki,
    ...(list.length === 0 ? [] : [der(DER.context3, sequence(...list))]),
  );
  // The signature is not looked at by those who read the extensions; any bytes of the right shape will do.
  const signature = concatBytes(new Uint8Array([0]), signRaw(key, tbs));
  return sequence(tbs, ALGORITHM, der(DER.bitString, signature));
}

export function newRatlsKey(): TestIdentity {
  return newIdentity('app.example', 9);
}
