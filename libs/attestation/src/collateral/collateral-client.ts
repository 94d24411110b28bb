import type { ParsedQuote } from '../abi/parsed-quote.js';
import { Refusal } from '../refusal.js';
import { INTEL_SGX_ROOT } from '../verify/trust-anchor.js';
import { assembleCollateral } from './assemble-collateral.js';
import { type AuthenticCollateral, authenticateCollateral } from './authentic-collateral.js';
import type { CollateralClientOptions, CollateralClientStatus } from './collateral-client-options.js';
import { documentUrls } from './collateral-endpoint.js';
import type { CollateralSource } from './collateral-source.js';
import { CollateralStore } from './collateral-store.js';
import {
  CollateralUnavailableError,
  type EndpointFailure,
  type EndpointFailureCode,
  EndpointFault,
  unavailable,
} from './collateral-unavailable-error.js';
import { EndpointState } from './endpoint-state.js';
import { fetchDocument } from './fetch-document.js';
import { type Platform, platformName, platformOf } from './platform.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';
import { RollbackGuard } from './rollback-guard.js';

interface Entry {
  readonly authentic: AuthenticCollateral;
  readonly fetchedAt: Date;
  /** Verification refused it: ask again before it is used, and use it only if nobody answers. */
  readonly askFirst: boolean;
}

/** FMSPC and CA come from unverified quotes, so that the number of remembered platforms is bounded. */
const ENTRIES_MAX = 256;
const DEFAULTS = { timeoutMs: 10_000, maxAgeMs: 3_600_000, maxStaleMs: 604_800_000, refreshAheadMs: 86_400_000 };
const LOOK_EVERY_MS = 60_000;
/** A renewal ahead of expiry that brought the same documents again is not repeated at once. */
const RENEW_PAUSE_MS = 300_000;

/**
 * Gets collateral from PCCS endpoints and keeps it by TEE, FMSPC and CA. The invariant: what is kept or returned was
 * authentic under the trust anchors, lies inside all its windows, and is not older (by evaluation data number) than
 * anything authentic seen before, in this process or in the cache folder. A server that fails, lags or lies is passed
 * over for the next one and left alone for a while. `verifyQuote` verifies all of it again.
 */
export class CollateralClient implements CollateralSource {
  private readonly options: CollateralClientOptions & typeof DEFAULTS;
  private readonly endpoints: readonly EndpointState[];
  private readonly entries = new Map<string, Entry>();
  private readonly pending = new Map<string, Promise<QuoteCollateralV3>>();
  private readonly askedAtMs = new Map<string, number>();
  private readonly guard = new RollbackGuard();
  private readonly store: CollateralStore | null;
  private opened: Promise<void> | undefined;
  private cacheProblem: string | null = null;

  /** @throws InvalidEndpointError */
  constructor(options: CollateralClientOptions) {
    this.options = { ...DEFAULTS, ...options };
    this.endpoints = options.endpoints.map((endpoint) => new EndpointState(endpoint));
    this.store = options.cacheFolder === undefined ? null : new CollateralStore(options.cacheFolder);
  }

  /** @throws CollateralUnavailableError with one failure per endpoint; also when the quote has no readable PCK chain */
  async collateralFor(quote: ParsedQuote): Promise<QuoteCollateralV3> {
    const platform = platformOf(quote);
    const key = platformName(platform);
    await this.open();
    const known = this.entries.get(key);
    if (known !== undefined && this.isFresh(known)) {
      if (this.isDue(key, known)) this.renewInBackground(platform);
      return known.authentic.collateral;
    }
    try {
      return await this.ask(platform);
    } catch (error) {
      if (!(error instanceof CollateralUnavailableError)) throw error;
      const fallback = this.entries.get(key);
      if (fallback !== undefined && this.isUsable(fallback)) return fallback.authentic.collateral;
      return this.fromBundle(platform, error);
    }
  }

  /** Asks again at the next use of this quote's platform: call it when verification refused the collateral. */
  forget(quote: ParsedQuote): void {
    const key = platformName(platformOf(quote));
    const known = this.entries.get(key);
    if (known !== undefined) this.entries.set(key, { ...known, askFirst: true });
  }

  /** Renews what is kept ahead of its expiry, also when nobody asks, until disposed of. Holds no process open. */
  refreshInBackground(): Disposable {
    const timer = setInterval(() => {
      for (const [key, entry] of this.entries) {
        if (this.isDue(key, entry)) this.renewInBackground(entry.authentic.platform);
      }
    }, LOOK_EVERY_MS).unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  status(): CollateralClientStatus {
    const monotonicMs = this.monotonicMs();
    return {
      endpoints: this.endpoints.map((state) => ({
        endpoint: state.name,
        failuresInARow: state.failuresInARow,
        lastFailure: state.lastFailure,
        waitMs: state.waitMs(monotonicMs),
      })),
      platforms: [...this.entries].map(([platform, { authentic, fetchedAt }]) => ({
        platform,
        tcbInfoNumber: authentic.tcbInfoNumber,
        fetchedAt,
        notAfter: authentic.notAfter,
      })),
      cacheProblem: this.cacheProblem,
    };
  }

  private isFresh(entry: Entry): boolean {
    return !entry.askFirst && this.ageMs(entry) < this.options.maxAgeMs && this.isUsable(entry);
  }

  /** Inside its windows, not from the future, and not too old to be used without asking. */
  private isUsable(entry: Entry): boolean {
    const now = this.options.now();
    const ageMs = this.ageMs(entry);
    const { notBefore, notAfter } = entry.authentic;
    const longest = Math.max(this.options.maxStaleMs, this.options.maxAgeMs);
    return ageMs >= 0 && ageMs <= longest && now >= notBefore && now <= notAfter;
  }

  private ageMs(entry: Entry): number {
    return this.options.now().getTime() - entry.fetchedAt.getTime();
  }

  /** Half of its age is used up, or its windows end soon, and nobody asked a moment ago. */
  private isDue(key: string, entry: Entry): boolean {
    const now = this.options.now().getTime();
    const sinceAskedMs = now - (this.askedAtMs.get(key) ?? Number.NEGATIVE_INFINITY);
    const endsSoon = entry.authentic.notAfter.getTime() - now <= this.options.refreshAheadMs;
    const pauseMs = Math.min(RENEW_PAUSE_MS, this.options.maxAgeMs / 2);
    return (this.ageMs(entry) >= this.options.maxAgeMs / 2 || endsSoon) && sinceAskedMs >= pauseMs;
  }

  /** What fails here is kept in `status()`; the entry in hand stays in use until its own end. */
  private renewInBackground(platform: Platform): void {
    this.ask(platform).catch((error: unknown) => {
      if (!(error instanceof CollateralUnavailableError)) throw error;
    });
  }

  /** One round over the endpoints, shared by all who ask at the same time. */
  private ask(platform: Platform): Promise<QuoteCollateralV3> {
    const key = platformName(platform);
    const running = this.pending.get(key);
    if (running !== undefined) return running;
    this.askedAtMs.set(key, this.options.now().getTime());
    const started = this.askEach(platform).finally(() => {
      this.pending.delete(key);
      if (!this.entries.has(key)) this.askedAtMs.delete(key);
    });
    this.pending.set(key, started);
    return started;
  }

  private async askEach(platform: Platform): Promise<QuoteCollateralV3> {
    const failures: EndpointFailure[] = [];
    for (const state of this.endpoints) {
      if (state.waitMs(this.monotonicMs()) > 0) {
        failures.push(state.backingOff(this.monotonicMs()));
        continue;
      }
      try {
        const authentic = this.judge(await this.fetchAll(state, platform), platform);
        state.succeeded();
        await this.keep(authentic);
        return authentic.collateral;
      } catch (error) {
        if (!(error instanceof EndpointFault)) throw error;
        failures.push(state.failed(error, this.monotonicMs()));
      }
    }
    throw unavailable(platformName(platform), failures);
  }

  /** All four documents from one endpoint: a mixture of several generations would not fit together. */
  private async fetchAll({ endpoint }: EndpointState, platform: Platform): Promise<QuoteCollateralV3> {
    const urls = documentUrls(endpoint, platform, this.options.update);
    const fetch = this.options.fetchDocument ?? fetchDocument;
    const get = async (url: URL) => {
      try {
        return await fetch(url, { timeoutMs: this.options.timeoutMs, tlsRootsPem: endpoint.tlsRootsPem });
      } catch (error) {
        if (!(error instanceof EndpointFault)) throw error;
        throw new EndpointFault(error.code, `${url.pathname}${url.search} ${error.message}`, error.retryable, {
          cause: error,
        });
      }
    };
    const [tcb, identity, pckCrl, rootCrl] = await Promise.all([
      get(urls.tcb),
      get(urls.identity),
      get(urls.pckCrl),
      get(urls.rootCrl),
    ]);
    return asFault('MALFORMED', () => assembleCollateral({ tcb, identity, pckCrl, rootCrl }));
  }

  /** Authentic, in its windows now, and not older than what was seen. @throws EndpointFault */
  private judge(collateral: QuoteCollateralV3, platform: Platform): AuthenticCollateral {
    const anchors = this.options.trustAnchors ?? [INTEL_SGX_ROOT];
    const authentic = asFault('NOT_AUTHENTIC', () => authenticateCollateral(collateral, anchors, platform));
    asFault('OUT_OF_WINDOW', () => authentic.requireValidAt(this.options.now()));
    asFault('ROLLBACK', () => this.guard.require(authentic));
    return authentic;
  }

  private async keep(authentic: AuthenticCollateral): Promise<void> {
    const fetchedAt = this.options.now();
    this.remember({ authentic, fetchedAt, askFirst: false });
    if (this.store === null) return;
    try {
      await this.store.save(authentic.platform, { collateral: authentic.collateral, fetchedAt });
      this.cacheProblem = null;
    } catch (error) {
      // A full disk must not stop verification; what is lost is only the cache.
      this.cacheProblem = `cannot write the collateral cache: ${reasonOf(error)}`;
    }
  }

  private remember(entry: Entry): void {
    this.guard.learn(entry.authentic);
    const key = platformName(entry.authentic.platform);
    this.entries.delete(key);
    this.entries.set(key, entry);
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= ENTRIES_MAX) break;
      this.entries.delete(oldest);
      this.askedAtMs.delete(oldest);
    }
  }

  /** Reads the cache folder once. A file that is not authentic under today's anchors is as good as none. */
  private open(): Promise<void> {
    this.opened ??= this.readStore();
    return this.opened;
  }

  private async readStore(): Promise<void> {
    if (this.store === null) return;
    const anchors = this.options.trustAnchors ?? [INTEL_SGX_ROOT];
    try {
      for (const { collateral, fetchedAt } of (await this.store.load()).toReversed()) {
        const authentic = refusedAsNull(() => authenticateCollateral(collateral, anchors));
        if (authentic !== null) this.remember({ authentic, fetchedAt, askFirst: false });
      }
    } catch (error) {
      this.cacheProblem = `cannot read the collateral cache: ${reasonOf(error)}`;
    }
  }

  private fromBundle(platform: Platform, error: CollateralUnavailableError): QuoteCollateralV3 {
    const { bundle } = this.options;
    if (bundle === undefined) throw error;
    const found = bundle.find(platform);
    if (found === undefined) throw unavailable(platformName(platform), [...error.endpoints, bundle.missing(platform)]);
    try {
      const authentic = this.judge(found, platform);
      this.guard.learn(authentic);
      return authentic.collateral;
    } catch (fault) {
      if (!(fault instanceof EndpointFault)) throw fault;
      const { code, message } = fault;
      throw unavailable(platformName(platform), [
        ...error.endpoints,
        { endpoint: 'bundle', code, message, retryable: false },
      ]);
    }
  }

  private monotonicMs(): number {
    return (this.options.monotonicMs ?? (() => performance.now()))();
  }
}

/** A refusal of what an endpoint sent is a fault of the endpoint, and may be mended there. */
function asFault<T>(code: EndpointFailureCode, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof Refusal) throw new EndpointFault(code, error.message, true, { cause: error });
    throw error;
  }
}

function refusedAsNull<T>(body: () => T): T | null {
  try {
    return body();
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
