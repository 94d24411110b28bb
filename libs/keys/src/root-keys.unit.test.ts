import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { KeysWipedError, SealOpenError } from './errors.js';
import { kmsEventKey, verifyEndorsement } from './event-key.js';
import { PassphraseKeyProvider } from './key-provider.js';
import { RootKeys } from './root-keys.js';

const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const passphrase = (text: string) => new PassphraseKeyProvider({ unsafePassphrase: Buffer.from(text) });

/** Sealed by the release before key epochs, under "a passphrase of before". */
const SEALED_BEFORE_EPOCHS =
  'Vk9VQ0hSSzG2HTV/Tz8uwY84VwlD/XlWzwdAiW/vwVdiZ8BakkEmr3i7vpN488kT+OwTZV9iQbdoZwKejVzgf4ttfuRH9TsxEcoAKOwTywnP16yn7qap66jRqOfVXzLIpmaudvv+cbQD7VjH9hRTo36L7po=';

describe('RootKeys', () => {
  it('cannot be printed, inspected or serialised', () => {
    const root = RootKeys.generate();
    const secrets = [root.useCaScalar(hex), root.useK256Scalar(hex)];
    const shown = [String(root), inspect(root, { showHidden: true, depth: 9 }), `${root}`, inspect({ nested: [root] })];
    for (const text of shown) {
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
    expect(() => JSON.stringify({ root })).toThrow(TypeError);
    const open = Object.values(root).map((value) => (value instanceof Uint8Array ? hex(value) : String(value)));
    for (const secret of secrets) expect(open).not.toContain(secret);
  });

  it('opens with the right passphrase only, and only unchanged', async () => {
    const root = RootKeys.generate();
    const sealed = await root.seal(passphrase('correct'));
    const opened = await RootKeys.open(sealed, passphrase('correct'), 0);
    expect(hex(opened.caSpki)).toBe(hex(root.caSpki));
    expect(opened.useK256Scalar(hex)).toBe(root.useK256Scalar(hex));
    expect(hex(sealed)).not.toContain(root.useCaScalar(hex));
    await expect(RootKeys.open(sealed, passphrase('wrong'), 0)).rejects.toThrow(SealOpenError);
    for (const at of [0, 9, 25, 40, 115]) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(RootKeys.open(changed, passphrase('correct'), 0)).rejects.toThrow(SealOpenError);
    }
    await expect(RootKeys.open(sealed.subarray(1), passphrase('correct'), 0)).rejects.toThrow(SealOpenError);
  });

  it('sealed in one key epoch do not open as those of another', async () => {
    const sealed = await RootKeys.generate(2).seal(passphrase('correct'));
    expect((await RootKeys.open(sealed, passphrase('correct'), 2)).keyEpoch).toBe(2);
    for (const other of [0, 1, 3]) {
      await expect(RootKeys.open(sealed, passphrase('correct'), other)).rejects.toThrow(SealOpenError);
    }
    const short = await passphrase('correct').seal(new Uint8Array(63), new Uint8Array());
    await expect(RootKeys.open(short, passphrase('correct'), 0)).rejects.toThrow(SealOpenError);
  });

  it('opens what an earlier release sealed', async () => {
    const sealed = Buffer.from(SEALED_BEFORE_EPOCHS, 'base64');
    const root = await RootKeys.open(sealed, passphrase('a passphrase of before'), 0);
    expect(root.useCaScalar(hex)).toBe('f57527cea4ab7ffb49af99b158cdc0e3ec06398f528349ea236b7d2afe19cec1');
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
    await expect(root.seal(passphrase('any'))).rejects.toThrow(KeysWipedError);
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
