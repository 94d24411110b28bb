import { createPrivateKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { deriveAppCaKey, deriveAppKeys, verifyAppKeySignature } from './app-keys.js';
import { deriveDhSecret, deriveKey, deriveP256 } from './derive.js';
import { openEnv, openEnvBlob, sealEnv } from './encrypted-env.js';
import { recoverEnvKeySigner, signEnvPublicKey } from './env-key.js';
import { InvalidKeyError, PayloadFormError, SealOpenError } from './errors.js';
import { deriveGuestKey, guestKeyAlgorithm, verifyGuestKeyChain } from './guest-key.js';
import { k256PublicKey, keccak256, recoverK256Keccak, signK256Keccak, signK256Sha256 } from './k256.js';
import { p256FromPem, p256FromScalar, p256PublicKey } from './p256.js';
import { RootKeys } from './root-keys.js';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');

/** dstack-kms §20.2: computed from the formulas by an independent implementation that reproduces dstack's own vectors. */
const CA_SCALAR = 'f57527cea4ab7ffb49af99b158cdc0e3ec06398f528349ea236b7d2afe19cec1';
const K256_SCALAR = 'e43beabd3e33b2e592f88113dd0b5e7d182e0318411b13b7e7e8f37e7a4989e9';
const APP_ID = bytes('000102030405060708090a0b0c0d0e0f10111213');
const INSTANCE_ID = bytes('808182838485868788898a8b8c8d8e8f90919293');
const root = RootKeys.fromScalars(bytes(CA_SCALAR), bytes(K256_SCALAR));

describe('derivation primitives', () => {
  it('reproduces dstack R1: derive_dh_secret of the context one/two key', () => {
    expect(hex(deriveKey(bytes(CA_SCALAR), ['context one', 'context two'], 32))).toBe(
      'b60ac47b8fcfbdf96031b9e94f0b60cfe9de05eccb5a1dca41a26f757833c0e7',
    );
    expect(hex(deriveDhSecret(bytes(CA_SCALAR), ['context one', 'context two']))).toBe(
      '663afd58820be8ad645f9c035e93199d114ab16f738db62393bc1d7d623e8813',
    );
  });

  it('writes the 138-byte PKCS#8 form that dstack hashes', () => {
    const key = p256FromScalar(bytes(CA_SCALAR));
    expect(hex(key.pkcs8)).toBe(
      `308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420${CA_SCALAR}a14403420004` +
        '91f50522407ce29dce3ed7d31a15d80c1c42f13a23552d2b33a0ce09ee11e47bce95936f3e7f80d195f879e28e1b144ef37ac9ab8e36a690cbf930b775897b27',
    );
    expect(key.spki).toHaveLength(91);
    expect(hex(p256FromPem(key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string).scalar)).toBe(CA_SCALAR);
  });

  it('refuses scalars outside 1..n-1 and points off the curve', () => {
    const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
    for (const scalar of ['00'.repeat(32), order, 'ff'.repeat(32), '01']) {
      expect(() => p256FromScalar(bytes(scalar))).toThrow(InvalidKeyError);
    }
    const spki = Uint8Array.from(root.caSpki);
    spki[90] = (spki[90] ?? 0) ^ 1;
    expect(() => p256PublicKey(spki)).toThrow(InvalidKeyError);
    expect(() => p256PublicKey(spki.subarray(1))).toThrow(InvalidKeyError);
  });

  it('joins context parts without separators', () => {
    expect(deriveKey(bytes(CA_SCALAR), ['ab', 'c'], 32)).toEqual(deriveKey(bytes(CA_SCALAR), ['a', 'bc'], 32));
    expect(hex(deriveP256(bytes(CA_SCALAR), [APP_ID, 'app-ca']).scalar)).toBe(
      'f562b104a3513a1894c24ebe16d7286550aedf9017373e96fc35a2d0c21a1da9',
    );
  });
});

describe('app keys', () => {
  const keys = deriveAppKeys(root, APP_ID, INSTANCE_ID);

  it('derives disk, env and secp256k1 keys of the published vector', () => {
    expect(hex(keys.diskCryptKey)).toBe('83911977b8d03878614266a46abdfc026314d6a60dea99bda3818976bc705f35');
    expect(hex(keys.envCryptKey)).toBe('23c369b81c99eb4031520ff5627b8243607ae43ff0befafab62bf142d3d709a2');
    expect(hex(keys.envPublicKey)).toBe('d91e3f8d29423e75315020c59144cc7b2ca05777066b7d490f4208d54635e120');
    expect(hex(keys.k256Key)).toBe('8f9dab9f32dc0770206875fd3f321278138b01eee67cf96ef5f5b2e8de9e7c2c');
    expect(hex(keys.k256PublicKey)).toBe('039cd27d2e5d6ba96d0915e757c08b413c69f533ea42ab82d94efd3e2ab4c51697');
    expect(hex(root.k256PublicKey)).toBe('02f0807e9a4decdf93f750560cd708c1a5a0a6c42a2a384c283796c560e808183a');
  });

  it('signs the app key as dstack does, and only the right parts verify', () => {
    expect(hex(keys.k256Signature)).toBe(
      'a8d038057f752ca7c37541bb069ebcc252eba742b80734e0efd20fd790a3181a773c30ba2efcb270ee7bc8b00cdd6e5fcd8b3585376430a9ff4d6ded0464536b01',
    );
    const claim = {
      kmsK256PublicKey: root.k256PublicKey,
      appId: APP_ID,
      appPublicKey: keys.k256PublicKey,
      signature: keys.k256Signature,
    };
    expect(verifyAppKeySignature(claim)).toBe(true);
    expect(verifyAppKeySignature({ ...claim, appId: INSTANCE_ID })).toBe(false);
    expect(verifyAppKeySignature({ ...claim, kmsK256PublicKey: keys.k256PublicKey })).toBe(false);
    expect(verifyAppKeySignature({ ...claim, signature: new Uint8Array(65) })).toBe(false);
    expect(verifyAppKeySignature({ ...claim, signature: keys.k256Signature.subarray(0, 64) })).toBe(false);
  });

  it('derives the app CA key, and another disk key for another or no instance', () => {
    expect(hex(deriveAppCaKey(root, APP_ID).spki)).toBe(
      '3059301306072a8648ce3d020106082a8648ce3d0301070342000449bb31594697c7dc9e1fd18eb9cf9d25ed68a38d726e4d673e2989e6328921ad085e94cf64cd5a8d29330145329bfc2350b6ceb91fb14060cb852fb9722bcda8',
    );
    const without = deriveAppKeys(root, APP_ID, new Uint8Array());
    expect(hex(without.diskCryptKey)).not.toBe(hex(keys.diskCryptKey));
    expect(hex(without.k256Key)).toBe(hex(keys.k256Key));
    expect(() => deriveAppKeys(root, APP_ID.subarray(1), INSTANCE_ID)).toThrow(InvalidKeyError);
    expect(() => deriveAppKeys(root, APP_ID, new Uint8Array(19))).toThrow(InvalidKeyError);
  });

  it('recovers the KMS root of the simulator key file (R14)', () => {
    const statement = Buffer.concat([
      Buffer.from('dstack-kms-issued:'),
      bytes('5bb4ff9a3837357f19dc176407a5709c62eb6c56'),
      bytes('02818494263695e8839122dbd88e281d7380622999df4e60a14befa0f2d096fc7c'),
    ]);
    expect(hex(keccak256(statement))).toBe('1f1acc59bf7234477601c8abf24b462777d69b8497e91189bb4c4c0568308bf5');
    const signature = bytes(
      '9e618603e72d01fedb82deff6daf2d62a572becf0059eec3f89c1ab40e1f2e594d2a283f843f34e8f39e4cc49a612496ce67223a12ac923f8efe330346dfc6c500',
    );
    expect(hex(recoverK256Keccak(statement, signature) ?? new Uint8Array())).toBe(
      '0321529e458424ab1f710a3a57ec4dad2fb195ddca572f7469242ba6c7563085b6',
    );
  });

  it('refuses a signature with a high s', () => {
    const message = Buffer.from('claim');
    const signature = signK256Keccak(bytes(K256_SCALAR), message);
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = order - BigInt(`0x${hex(signature.subarray(32, 64))}`);
    const high = Buffer.concat([
      signature.subarray(0, 32),
      bytes(s.toString(16).padStart(64, '0')),
      Uint8Array.of((signature[64] ?? 0) ^ 1),
    ]);
    expect(recoverK256Keccak(message, signature)).toBeDefined();
    expect(recoverK256Keccak(message, high)).toBeUndefined();
  });
});

describe('encrypted environment', () => {
  it('signs the env public key in both forms', () => {
    const { envPublicKey } = deriveAppKeys(root, APP_ID, INSTANCE_ID);
    const legacy = signEnvPublicKey(root, APP_ID, envPublicKey);
    expect(hex(legacy)).toBe(
      '7d12ae83fb5a24c9c8b5a626f6a211da7a1a5c76473a8514fbd0f90b5d1a756548eeebb8efec81888aeffa980f78221462806ecc909416c7d51e0dff1833af9c00',
    );
    const signature = signEnvPublicKey(root, APP_ID, envPublicKey, 1_700_000_000);
    expect(hex(signature)).toBe(
      'aa5b9579554fc8fdb51f3d8df7e5d4ea4278bfdc2e4fe6398100be64e882f01046c1d43e15cfa8d06e239dd13bea8b55f218e69faa9aa67d1d3f504f3963ebd000',
    );
    const at = (timestampSeconds: number, nowSeconds: number): Uint8Array | undefined =>
      recoverEnvKeySigner({ appId: APP_ID, envPublicKey, signature, timestamped: { timestampSeconds, nowSeconds } });
    expect(at(1_700_000_000, 1_700_000_300)).toEqual(root.k256PublicKey);
    expect(at(1_700_000_000, 1_699_999_940)).toEqual(root.k256PublicKey);
    expect(at(1_700_000_000, 1_700_000_301)).toBeUndefined();
    expect(at(1_700_000_000, 1_699_999_939)).toBeUndefined();
    expect(at(1_700_000_001, 1_700_000_001)).not.toEqual(root.k256PublicKey);
  });

  it('recovers the signer of the SDK vector (R13)', () => {
    const signer = recoverEnvKeySigner({
      appId: new Uint8Array(20),
      envPublicKey: bytes('e33a1832c6562067ff8f844a61e51ad051f1180b66ec2551fb0251735f3ee90a'),
      signature: bytes(
        '8542c49081fbf4e03f62034f13fbf70630bdf256a53032e38465a27c36fd6bed7a5e7111652004aef37f7fd92fbfc1285212c4ae6a6154203a48f5e16cad2cef00',
      ),
    });
    expect(hex(signer ?? new Uint8Array())).toBe('0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f');
  });

  it('opens the dstack blob (R6) and refuses every changed byte', () => {
    const secret = bytes('7c282bf94b35dc47801dc953bfa0896fc2bd313381d3e8eca4e42f6536d2a96f');
    const blob = bytes(
      '0bd18749612f4c8b9dd583c7d6a646b90abd34e3c731a7708d0caf9039095641e1f0948e775f0b7351788db7f246d51806954626dcccb6a60d64665ca3715c6bef75616cab476d27bba04080361200d6a58cec',
    );
    expect(Buffer.from(openEnvBlob(secret, blob)).toString()).toBe('[{"key":"","value":""}]');
    expect(() => openEnv(secret, blob)).toThrow(PayloadFormError);
    for (const at of [0, 32, 44, blob.length - 1]) {
      const changed = Uint8Array.from(blob);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => openEnv(secret, changed)).toThrow(SealOpenError);
    }
    expect(() => openEnv(secret, blob.subarray(0, 59))).toThrow(SealOpenError);
    expect(() => openEnv(secret, Buffer.concat([new Uint8Array(32), blob.subarray(32)]))).toThrow(SealOpenError);
  });

  it('round-trips variables and bounds their number and size', () => {
    const { envCryptKey, envPublicKey } = deriveAppKeys(root, APP_ID, INSTANCE_ID);
    const variables = [{ key: 'API_KEY', value: 'größe "1"' }];
    expect(openEnv(envCryptKey, sealEnv(envPublicKey, variables))).toEqual(variables);
    const many = Array.from({ length: 1025 }, (_, index) => ({ key: `K${index}`, value: '' }));
    expect(() => openEnv(envCryptKey, sealEnv(envPublicKey, many))).toThrow(PayloadFormError);
    const large = [{ key: 'A', value: 'x'.repeat(128 * 1024 + 1) }];
    expect(() => openEnv(envCryptKey, sealEnv(envPublicKey, large))).toThrow(PayloadFormError);
  });
});

/** dstack-guest §16.2 and §16.3: the app's k256 key, GetKey path, expected key and public keys. */
const GUEST_ROOT = '1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b';
const SIMULATOR_KEY = 'd6e88992cdeeee35fe70b5db61ab66cdb191fb9b6ec9313757ef162dd7214d5d';
const GUEST_KEYS = [
  [
    '',
    '7c2ae1cd265eff5f206291fac92f030b4df17b15883c406572432f29c47eb175',
    '0262f9f01fbf3d7be0d5acac4fcf814f78cc6f25380539e39e432ab366edf0810d',
    'c2dc1e23ef9be6b7ea30cf5153ff838f3278b2a5828d685e58f6e7fc83833987',
  ],
  [
    '/',
    '476b19e4de0ecdc806357e75cc45991450641f242b1e1e1dd73140ae39fe21ad',
    '03eb2bdcfd4519851a94aaf84f2f5837449cc09cac2f81612a2e1ec8d1d7c2697b',
    '095f6d3889d396680a51a796eda5fea1730eb66e9944d84d0052f2e4a81c73c4',
  ],
  [
    'test',
    '52786aa123b0971e283af97f32e25767483d099d66e6c40afeb3a49046b5379e',
    '02ead9e0064aad1bb151c270c78ef82a4caf6d3fc92c311804e79751deb3476919',
    'df3598d63e442a5c51675baf6b1c30644d80a4fc7d532a1cf81400ee51acf8af',
  ],
  [
    'vms',
    '9db79b3fefe69f2a7b7efbc908c854bf845a629023361f2c9cb3db09fb99010f',
    '03ab7f25d56455d300a1c1f77f57f6d16193e89cdd9edc5c5e2994b446b1f3373d',
    'e4f6eb7b50267f586ba765766db7ca9487f1a506f6a49026ae09a1c605681bdb',
  ],
] as const;

describe('GetKey of the guest', () => {
  const k256Signature = new Uint8Array(65);

  it.each(GUEST_KEYS)('derives the published keys of path %j', (path, key, k256, ed25519) => {
    const options = { k256Key: bytes(GUEST_ROOT), k256Signature, path, purpose: 'any' } as const;
    const secp = deriveGuestKey({ ...options, algorithm: 'secp256k1' });
    const edwards = deriveGuestKey({ ...options, algorithm: 'ed25519' });
    expect([hex(secp.key), hex(secp.publicKey)]).toEqual([key, k256]);
    expect([hex(edwards.key), hex(edwards.publicKey)]).toEqual([key, ed25519]);
  });

  it('signs the claim of the published chain links', () => {
    const chain0 = (k256Key: string, path: string, purpose: string, algorithm: 'secp256k1' | 'ed25519'): string =>
      hex(deriveGuestKey({ k256Key: bytes(k256Key), k256Signature, path, purpose, algorithm }).signatureChain[0]);
    expect(chain0(GUEST_ROOT, 'test', 'signing', 'secp256k1')).toBe(
      'c8a3dcf06c4e95bd78a5d7a1c8fcff171fc5848cfae804c6fc11bda4dc5d4062379995390843827444992c4c0e4bac70f0f878e01b9fc8b98cd7126fe5a3876b01',
    );
    expect(chain0(GUEST_ROOT, 'test', 'signing', 'ed25519')).toBe(
      '313313c2cce97eb24d353ca721350a1aa196aa45e426369105ce9917c66e4bf94f749d9462f6f6e891e56556a623b2c5d7533d3aeff4da2e0706337ac0a3f76600',
    );
    expect(chain0(SIMULATOR_KEY, 'test/wallet', '', 'secp256k1')).toBe(
      '5025fa7bac56cd62e1073b89fe87a671ec62cc6a454c1358ec3b92327037cf3c0b0142f1adfe044f135e9b909ba4a56fb65cd3d067982d65492a7ca3ef8f303001',
    );
    expect(chain0(SIMULATOR_KEY, 'vms', 'signing', 'secp256k1')).toBe(
      '51ec279eb0da3fb45335c2fd6badaf701905bf35f229912976c4ae3c9d649cf97f964473f2dce7118743bad84a6df707d11c9b5f0b38379204e14fd2c7baddba01',
    );
  });

  it('signs data as the simulator does (Sign, secp256k1)', () => {
    const { key } = deriveGuestKey({
      k256Key: bytes(SIMULATOR_KEY),
      k256Signature,
      path: 'vms',
      purpose: 'signing',
      algorithm: 'secp256k1',
    });
    expect(hex(signK256Sha256(key, Buffer.from('test message')))).toBe(
      'dbc6c79f6dfcabf31f281da7cad6fd2ff7b7259d67cc0e54f8a5cd2a9c7c4d9f583d33b37b55b91819293705083ab7fd4b1a85a75a61acfdb260c714aa9e3f37',
    );
  });

  it('gives a chain that leads to the KMS root, and to no other app, purpose or key', () => {
    const { k256Key, k256Signature: issued } = deriveAppKeys(root, APP_ID, INSTANCE_ID);
    const answer = deriveGuestKey({
      k256Key,
      k256Signature: issued,
      path: 'my/path',
      purpose: 'signing',
      algorithm: 'secp256k1',
    });
    expect(hex(answer.key)).toBe('a86ad86a2f69b45e09893cb64c3b05228c8cd46e6c9bc27710b33bd59406c03f');
    expect(hex(answer.signatureChain[0])).toBe(
      'e256b4e79f3daa1f52312dc744f1ed1e2198d6a2fe6392a95c2e4533e0bfb48809066ffeda556dbed2cff9f309f3ceb61d29ac738c4600ce6b9a082a62de99d700',
    );
    const chain = {
      kmsK256PublicKey: root.k256PublicKey,
      appId: APP_ID,
      purpose: 'signing',
      publicKey: answer.publicKey,
      signatureChain: answer.signatureChain,
    };
    expect(verifyGuestKeyChain(chain)).toBe(true);
    expect(verifyGuestKeyChain({ ...chain, purpose: 'other' })).toBe(false);
    expect(verifyGuestKeyChain({ ...chain, appId: INSTANCE_ID })).toBe(false);
    expect(verifyGuestKeyChain({ ...chain, publicKey: root.k256PublicKey })).toBe(false);
    expect(verifyGuestKeyChain({ ...chain, signatureChain: [...answer.signatureChain].reverse() })).toBe(false);
    expect(verifyGuestKeyChain({ ...chain, kmsK256PublicKey: k256PublicKey(k256Key) })).toBe(false);
  });

  it('knows the algorithm names of the API', () => {
    expect(['', 'k256', 'secp256k1', 'ed25519'].map(guestKeyAlgorithm)).toEqual([
      'secp256k1',
      'secp256k1',
      'secp256k1',
      'ed25519',
    ]);
    expect(guestKeyAlgorithm('secp256k1_prehashed')).toBeUndefined();
  });
});

describe('root key import', () => {
  it('takes the R1 parent from its PKCS#8 DER', () => {
    const der = p256FromScalar(bytes(CA_SCALAR)).pkcs8;
    const pem = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
      .export({ format: 'pem', type: 'pkcs8' })
      .toString();
    expect(hex(p256FromPem(pem).spki)).toBe(hex(root.caSpki));
  });
});
