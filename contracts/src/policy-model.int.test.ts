import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, appContract, kmsContract } from './abi.js';
import type { BootInfo } from './boot-info.js';
import { readBootPolicy } from './boot-policy.js';
import { deployApp, deployKms } from './deploy.js';
import { judgeByPolicyFile, parsePolicyFile } from './policy-file/policy-file.js';
import { readAppPolicy, readKmsPolicy } from './policy-state.js';
import { type AnvilNode, startAnvilNode } from './testing/anvil-node.js';

/** Selector of OwnableUnauthorizedAccount(address). */
const NOT_OWNER = '0x118cdaa7';
/** A few values, so that random commands meet each other. */
const WORDS = ['01', '02', '03'].map((byte) => byte.repeat(32));
const word = fc.constantFrom(...WORDS);
const actor = fc.constantFrom('owner' as const, 'stranger' as const);

type Command =
  | {
      readonly actor: 'owner' | 'stranger';
      readonly target: 'app' | 'kms';
      readonly set: string;
      readonly method: string;
      readonly word: string;
    }
  | {
      readonly actor: 'owner' | 'stranger';
      readonly target: 'app';
      readonly flag: 'any' | 'tcb';
      readonly value: boolean;
    };

const lists = [
  ['app', 'compose', 'addComposeHash', 'removeComposeHash'],
  ['app', 'device', 'addDevice', 'removeDevice'],
  ['kms', 'image', 'addOsImageHash', 'removeOsImageHash'],
] as const;
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ actor, list: fc.constantFrom(...lists), add: fc.boolean(), word }).map(({ list, add, ...rest }) => {
    const [target, set, adds, removes] = list;
    return { ...rest, target, set, method: add ? adds : removes };
  }),
  fc.record({
    actor,
    target: fc.constant('app' as const),
    flag: fc.constantFrom('any' as const, 'tcb' as const),
    value: fc.boolean(),
  }),
);
const question = fc.record({
  compose: word,
  device: word,
  image: word,
  tcbStatus: fc.constantFrom('UpToDate', 'OutOfDate', ''),
});

/** What DstackKms and DstackApp are, in ten lines (dstack-kms §16.2). */
class Model {
  readonly sets: Record<string, Set<string>> = { compose: new Set(), device: new Set(), image: new Set() };
  any = false;
  tcb = false;

  apply(done: Command): void {
    if ('flag' in done) this[done.flag] = done.value;
    else if (done.method.startsWith('add')) this.sets[done.set]?.add(done.word);
    else this.sets[done.set]?.delete(done.word);
  }

  reason(info: BootInfo): string {
    if (!this.sets.image?.has(info.osImageHash)) return 'OS image is not allowed';
    if (this.tcb && info.tcbStatus !== 'UpToDate') return 'TCB status is not up to date';
    if (!this.sets.compose?.has(info.composeHash)) return 'Compose hash not allowed';
    if (!this.any && !this.sets.device?.has(info.deviceId)) return 'Device not allowed';
    return '';
  }

  /** The same policy as a file. */
  file(appId: string): string {
    const list = (name: string) => [...(this.sets[name] ?? [])];
    const app = { composeHashes: list('compose'), devices: list('device'), allowAnyDevice: this.any };
    const tcb = { allowedTcbStatuses: this.tcb ? ['UpToDate'] : ['UpToDate', 'OutOfDate', ' '] };
    return JSON.stringify({ osImages: list('image'), apps: { [appId]: app }, ...tcb });
  }
}

let node: AnvilNode;
let kms = '';
beforeAll(async () => {
  node = await startAnvilNode();
  kms = (await deployKms(node.owner)).kms;
});
afterAll(() => node.stop());

async function send(appId: string, one: Command): Promise<boolean> {
  const signer = one.actor === 'owner' ? node.owner : node.stranger;
  const contract = one.target === 'kms' ? kmsContract(kms, signer) : appContract(appId, signer);
  const [method, argument] =
    'flag' in one
      ? [one.flag === 'any' ? 'setAllowAnyDevice' : 'setRequireTcbUpToDate', one.value]
      : [one.method, `0x${one.word}`];
  try {
    await (await contract.getFunction(method)(argument)).wait();
    return true;
  } catch (error) {
    expect(String(error)).toContain(NOT_OWNER);
    return false;
  }
}

describe('any history of policy changes', () => {
  it('leaves a contract, its reports and a file of the same policy of one mind; strangers change nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 14 }),
        fc.array(question, { minLength: 4, maxLength: 8 }),
        async (commands, questions) => {
          const before = await node.provider.send('evm_snapshot', []);
          const appId = await deployApp(node.owner, kms, { allowAnyDevice: false });
          const model = new Model();
          for (const one of commands) {
            const done = await send(appId, one);
            expect(done).toBe(one.actor === 'owner');
            if (done) model.apply(one);
          }
          const file = parsePolicyFile(model.file(appId));
          for (const { compose, device, image, tcbStatus } of questions) {
            const info: BootInfo = {
              ...{ teeVariant: '', appId, composeHash: compose, instanceId: '', deviceId: device, keyProviderInfo: '' },
              ...{ mrAggregated: compose, mrSystem: compose, osImageHash: image, tcbStatus, advisoryIds: [] },
            };
            const said = await readBootPolicy(node.provider, kms, info);
            expect(said.reason).toBe(model.reason(info));
            expect(said.isAllowed).toBe(said.reason === '');
            if (tcbStatus === '') continue;
            expect(file.ok && judgeByPolicyFile(file.policy, 'app', info).isAllowed).toBe(said.isAllowed);
          }
          const app = await readAppPolicy(node.provider, kms, appId);
          expect(app).toMatchObject({
            ...{
              isRegistered: true,
              allowAnyDevice: model.any,
              requireTcbUpToDate: model.tcb,
              upgradesDisabled: false,
            },
            ...{
              composeHashes: [...(model.sets.compose ?? [])].sort(),
              devices: [...(model.sets.device ?? [])].sort(),
            },
          });
          expect((await readKmsPolicy(node.provider, kms)).osImages).toEqual([...(model.sets.image ?? [])].sort());
          await node.provider.send('evm_revert', [before]);
          node.owner.reset();
          node.stranger.reset();
        },
      ),
      { numRuns: 40 },
    );
  });

  it('never makes isAppAllowed revert or allow for arbitrary measurements', async () => {
    const appId = await deployApp(node.owner, kms, { allowAnyDevice: true, composeHash: WORDS[0] as string });
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
    await fc.assert(
      fc.asyncProperty(
        hash,
        hash,
        fc.string({ maxLength: 200 }),
        fc.array(fc.string(), { maxLength: 8 }),
        async (a, b, tcbStatus, advisoryIds) => {
          const info: BootInfo = {
            ...{ teeVariant: '', appId, composeHash: a, instanceId: '', deviceId: b, keyProviderInfo: '' },
            ...{
              mrAggregated: a,
              mrSystem: b,
              osImageHash: a,
              tcbStatus: tcbStatus.toWellFormed(),
              advisoryIds: advisoryIds.map((id) => id.toWellFormed()),
            },
          };
          const said = await readBootPolicy(node.provider, kms, info);
          expect(said).toMatchObject({ isAllowed: false, reason: 'OS image is not allowed' });
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('an upgraded proxy', () => {
  it('keeps owner, lists and switches', async () => {
    const appId = await deployApp(node.owner, kms, { allowAnyDevice: true, composeHash: WORDS[1] as string });
    const { block: _, ...before } = await readAppPolicy(node.provider, kms, appId);
    const fresh = await deployKms(node.owner);
    const app = appContract(appId, node.owner);
    await (await app.getFunction('upgradeToAndCall')(addressOf(fresh.appImplementation), '0x')).wait();
    const { block: __, ...after } = await readAppPolicy(node.provider, kms, appId);
    expect(after).toEqual(before);
    const kmsBefore = await readKmsPolicy(node.provider, kms);
    await (
      await kmsContract(kms, node.owner).getFunction('upgradeToAndCall')(addressOf(fresh.kmsImplementation), '0x')
    ).wait();
    expect({ ...(await readKmsPolicy(node.provider, kms)), block: 0 }).toEqual({ ...kmsBefore, block: 0 });
  });
});
