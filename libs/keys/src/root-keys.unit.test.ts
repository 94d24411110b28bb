import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { KeysWipedError, SealOpenError } from './errors.js';
import { kmsEventKey, verifyEndorsement } from './event-key.js';
import { RootKeys } from './root-keys.js';

const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const passphrase = (text: string): { unsafePassphrase: Uint8Array } => ({ unsafePassphrase: Buffer.from(text) });

describe('RootKeys', () => {
  it('cannot be printed, inspected or serialised', () => {
    const root = RootKeys.generate();
    const secrets = [root.useCaScalar(hex), root.useK256Scalar(hex)];
    const shown = [String(root), inspect(root, { showHidden: true, depth: 9 }), `${root}`, inspect({ nested: [root] })];
    for (const text of shown) {
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
    expect(() => JSON.stringify({ root })).toThrow(TypeError);
    expect(Object.values(root).map((value) => hex(value as Uint8Array))).not.toContain(secrets[0]);
  });

  it('opens with the right passphrase only, and only unchanged', async () => {
    const root = RootKeys.generate();
    const sealed = await root.toSealed(passphrase('correct'));
    const opened = await RootKeys.fromSealed(sealed, passphrase('correct'));
    expect(hex(opened.caSpki)).toBe(hex(root.caSpki));
    expect(opened.useK256Scalar(hex)).toBe(root.useK256Scalar(hex));
    expect(hex(sealed)).not.toContain(root.useCaScalar(hex));
    await expect(RootKeys.fromSealed(sealed, passphrase('wrong'))).rejects.toThrow(SealOpenError);
    for (const at of [0, 9, 25, 40, 115]) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(RootKeys.fromSealed(changed, passphrase('correct'))).rejects.toThrow(SealOpenError);
    }
    await expect(RootKeys.fromSealed(sealed.subarray(1), passphrase('correct'))).rejects.toThrow(SealOpenError);
  });

  it('is of no use after wiping, and its bytes are gone', async () => {
    const root = RootKeys.generate();
    let lent: Uint8Array = new Uint8Array();
    root.useCaScalar((scalar) => {
      lent = scalar;
    });
    root.wipe();
    expect(hex(lent)).toBe('00'.repeat(32));
    expect(() => root.useCaScalar(hex)).toThrow(KeysWipedError);
    expect(() => root.useK256Scalar(hex)).toThrow(KeysWipedError);
    await expect(root.toSealed(passphrase('any'))).rejects.toThrow(KeysWipedError);
  });
});

describe('KMS event key', () => {
  it('follows from the root, and is endorsed by it alone', () => {
    const root = RootKeys.generate();
    const key = kmsEventKey(root);
    expect(hex(kmsEventKey(root).rawPublicKey)).toBe(hex(key.rawPublicKey));
    expect(hex(kmsEventKey(root).endorsement)).toBe(hex(key.endorsement));
    const statement = { rootCaSpki: root.caSpki, eventKey: key.rawPublicKey, endorsement: key.endorsement };
    expect(verifyEndorsement(statement)).toBe(true);
    const other = RootKeys.generate();
    expect(verifyEndorsement({ ...statement, rootCaSpki: other.caSpki })).toBe(false);
    expect(verifyEndorsement({ ...statement, eventKey: kmsEventKey(other).rawPublicKey })).toBe(false);
    expect(verifyEndorsement({ ...statement, eventKey: key.rawPublicKey.subarray(1) })).toBe(false);
    expect(verifyEndorsement({ ...statement, endorsement: new Uint8Array(70) })).toBe(false);
  });
});
