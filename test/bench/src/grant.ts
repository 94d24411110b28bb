import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID, sign, verify } from 'node:crypto';
import { parseQuote, QuoteVerifier, trustAnchorFromPem } from '@vouch/attestation';
import {
  deriveAppK256Key,
  deriveDhSecret,
  deriveKey,
  k256PublicKey,
  preferNativeK256,
  RootKeys,
  sealPayloadRepeatably,
  signAppKey,
} from '@vouch/keys';
import { InProcessKms } from '@vouch/kms/in-process';
import { SIMULATED_GUEST } from '@vouch/testkit';
import { EventLogOnBus } from './grant-bus.js';
import { collectEvidence, EPOCH, type GrantEvidence, HOST_ID } from './grant-evidence.js';
import { type Bench, type BenchResult, interleaved, median, medianRatio } from './harness.js';

const ROUNDS = 9;
const SLICE_MS = 400;
const REQUESTS = 200;
/** HKDF runs of a payload besides those inside the "DH secrets": k256 key and the seed of the seal. */
const HKDF_RUNS = 2;
/** The two "DH secrets", disk and env key: a P-256 public key each. */
const P256_KEYS = 2;

/**
 * Attested app-key grants per second on one core: from the evidence's bytes to a signed event and a payload sealed to the
 * guest, with the service's own code. Against the sum of what cannot be left out, each part measured in the same round:
 * quote verification with known collateral and platform (V), HKDF, P-256, secp256k1, HPKE seal. `firstOfApp` pays the
 * root's secp256k1 signature over the app's key, `again` finds it remembered. Then the same through NATS.
 */
export const grantBench: Bench = {
  name: 'grant',
  summary: 'attested app-key grants/s on one core, against the sum of their cryptography and native P-256 verification',
  run: async (say): Promise<BenchResult> => {
    say(`secp256k1: ${preferNativeK256()}`);
    const evidence = await collectEvidence(REQUESTS);
    const { collateral, unsafeTrustAnchor } = evidence;
    const root = RootKeys.generate();
    const guest = { ...SIMULATED_GUEST, hostId: HOST_ID, epoch: EPOCH };
    const now = (): Date => new Date();
    const kms = new InProcessKms({ root, collateral, unsafeTrustAnchor, guest, now });
    const parts = partsOf(evidence, root);
    const request = cycle(evidence.requests);
    const figures = await interleaved(
      ROUNDS,
      {
        firstOfApp: () =>
          perSecond(async () => {
            kms.forgetApps();
            await kms.grant(randomUUID(), request());
          }),
        again: () => perSecond(async () => void (await kms.grant(randomUUID(), request()))),
        quote: () => perSecond(parts.quote),
        hkdf: () => perSecond(parts.hkdf),
        p256: () => perSecond(parts.p256),
        k256: () => perSecond(parts.k256),
        seal: () => perSecond(parts.seal),
        p256Verify: () => perSecond(parts.p256Verify),
      },
      say,
    );
    const { quote, hkdf, p256, k256, seal, p256Verify } = figures;
    const boundFirst = boundOf([quote, hkdf, p256, k256, seal]);
    const boundAgain = boundOf([quote, hkdf, p256, seal]);
    const bus = await EventLogOnBus.measure(kms, evidence.requests, say);
    return {
      metrics: {
        firstOfAppPerSecond: median(figures.firstOfApp),
        againPerSecond: median(figures.again),
        ...bus,
      },
      peers: {
        boundFirstOfAppPerSecond: median(boundFirst),
        boundAgainPerSecond: median(boundAgain),
        quoteVerifyPerSecond: median(quote),
        hkdfPerSecond: median(hkdf),
        p256PerSecond: median(p256),
        k256PerSecond: median(k256),
        sealPerSecond: median(seal),
        nativeP256VerifyPerSecond: median(p256Verify),
      },
      ratios: {
        firstOfAppToBound: medianRatio(figures.firstOfApp, boundFirst),
        againToBound: medianRatio(figures.again, boundAgain),
        firstOfAppToP256Verify: medianRatio(figures.firstOfApp, p256Verify),
        againToP256Verify: medianRatio(figures.again, p256Verify),
      },
    };
  },
};

type Part = () => Promise<void> | void;

/** The cryptography of one grant, piece by piece. */
function partsOf(evidence: GrantEvidence, root: RootKeys) {
  const verifier = new QuoteVerifier({ trustAnchors: [trustAnchorFromPem(evidence.unsafeTrustAnchor)] });
  const quotes = cycle(
    evidence.requests.map((request) => new Uint8Array(Buffer.from(request.evidence.quote, 'base64'))),
  );
  const recipients = cycle(evidence.requests.map(({ claims }) => new Uint8Array(Buffer.from(claims.hpkeKey, 'hex'))));
  const appId = new Uint8Array(Buffer.from(SIMULATED_GUEST.appId, 'hex'));
  const plaintext = randomBytes(1400);
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signature = sign('sha256', plaintext, key.privateKey);
  const now = new Date();
  return {
    quote: () => {
      const parsed = parseQuote(quotes());
      if (!parsed.ok || !verifier.verifyParsed(parsed.quote, evidence.collateral, now).ok)
        throw new Error('a bad quote');
    },
    hkdf: () =>
      root.useCaScalar((ca) => {
        for (let run = 0; run < HKDF_RUNS; run += 1) deriveKey(ca, [appId, 'part'], 32);
      }),
    p256: () =>
      root.useCaScalar((ca) => {
        for (let run = 0; run < P256_KEYS; run += 1) deriveDhSecret(ca, [appId, 'part']);
      }),
    k256: () => void signAppKey(root, appId, k256PublicKey(deriveAppK256Key(root, appId))),
    seal: () => void sealPayloadRepeatably(recipients(), randomUUID(), plaintext, randomBytes(32)),
    p256Verify: () => verifyOnce(plaintext, key.publicKey, signature),
  } satisfies Record<string, Part>;
}

function verifyOnce(data: Uint8Array, key: KeyObject, signature: Uint8Array): void {
  if (!verify('sha256', data, key, signature)) throw new Error('a bad signature');
}

/** Runs one after another for a slice of time; answers runs per second. */
async function perSecond(once: Part): Promise<number> {
  const began = performance.now();
  let runs = 0;
  while (performance.now() - began < SLICE_MS) {
    await once();
    runs += 1;
  }
  return runs / ((performance.now() - began) / 1000);
}

/** Per second when every part is done once, round by round. */
function boundOf(parts: readonly (readonly number[])[]): number[] {
  const [first = []] = parts;
  return first.map((_, round) => 1 / parts.reduce((sum, part) => sum + 1 / (part[round] ?? Number.NaN), 0));
}

function cycle<T>(values: readonly T[]): () => T {
  let at = 0;
  return () => values[at++ % values.length] as T;
}
