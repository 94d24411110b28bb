import { randomBytes } from 'node:crypto';
import { generateHpkeKeyPair, generateP256, type HpkeKeyPair, type P256Key, x25519PublicKey } from '@vouch/keys';

/** The keys a guest makes for itself at each start; the public halves are claims of its evidence. Memory only. */
export interface GuestKeys {
  /** The grant is sealed to it. */
  readonly hpke: HpkeKeyPair;
  /** X25519 WireGuard key, 32 bytes each. */
  readonly wireguard: { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array };
  /** P-256 identity key: signs certificate requests. */
  readonly identity: P256Key;
}

export async function makeGuestKeys(): Promise<GuestKeys> {
  const privateKey = randomBytes(32);
  // WireGuard tools print clamped keys; clamping changes nothing about the public key.
  privateKey.writeUInt8(privateKey.readUInt8(0) & 0xf8, 0);
  privateKey.writeUInt8((privateKey.readUInt8(31) & 0x7f) | 0x40, 31);
  return {
    hpke: await generateHpkeKeyPair(),
    wireguard: { publicKey: x25519PublicKey(privateKey), privateKey },
    identity: generateP256(),
  };
}
