import { AttributeTypeAndValue, AttributeValue, Name, RelativeDistinguishedName } from '@peculiar/asn1-x509';

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';

/** `O=Vouch quote simulator, CN=<commonName>`. Verifiers classify DCAP certificates by phrases of the common name. */
export function simulatorName(commonName: string): Name {
  return new Name([attribute(ORGANIZATION, 'Vouch quote simulator'), attribute(COMMON_NAME, commonName)]);
}

function attribute(type: string, utf8String: string): RelativeDistinguishedName {
  return new RelativeDistinguishedName([
    new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String }) }),
  ]);
}
