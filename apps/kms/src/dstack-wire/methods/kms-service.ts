import type { WireCaller } from '../guest/wire-caller.js';
import type { PrpcService } from '../prpc/prpc-service.js';
import { clearImageCache } from './admin-methods.js';
import { onboardMethods } from './onboard-methods.js';
import { getAppEnvEncryptPubKey, getMeta, getTempCaCert } from './public-methods.js';
import { getAppKey, getKmsKey } from './release-methods.js';
import { signCert } from './sign-cert.js';
import type { WireParts } from './wire-parts.js';

/** Every method of dstack's key server, by name. */
export function kmsService(parts: WireParts): PrpcService<WireCaller> {
  return new Map([
    ['GetMeta', getMeta(parts)],
    ['GetAppKey', getAppKey(parts)],
    ['GetKmsKey', getKmsKey(parts)],
    ['GetAppEnvEncryptPubKey', getAppEnvEncryptPubKey(parts)],
    ['GetTempCaCert', getTempCaCert(parts)],
    ['SignCert', signCert(parts)],
    ['ClearImageCache', clearImageCache(parts)],
    ...onboardMethods(parts),
  ]);
}
