import { createPublicKey, type KeyObject } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { approveOsImage, deployKms, jsonRpcProvider, privateKeySigner } from '@vouch/contracts';
import { type EventAuthor, type EventData, type EventType, KeyDirectory, type TrustFile } from '@vouch/domain';
import { JetStreamEventStore, type StoredEvent } from '@vouch/eventstore';
import { freePort, type LocalServer, startAnvil } from '@vouch/platform/local-servers';
import { makeTestAuthors, startTestBus, type TestBus } from '@vouch/testkit';
import { MemoryTree, receiptOf, signCheckpoint } from '@vouch/transparency';
import { bootstrap } from '../bootstrap-command.js';
import type { PublicStatement } from '../root/public-statement.js';
import { ChildService } from './child-service.js';

/** First key of anvil's public development mnemonic: worth nothing outside a local node. */
const DEVELOPMENT_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

export const OS_IMAGE = '05'.repeat(32);

/** What a KMS stands on, all real: NATS with its permissions, anvil with the contracts, the quote simulator. */
export class KmsStack {
  readonly #authors = makeTestAuthors();
  #auditing: Subscription | undefined;
  #store: JetStreamEventStore | undefined;
  #auditor: NatsConnection | undefined;
  #directory: KeyDirectory | undefined;
  statement: PublicStatement | undefined;

  private constructor(
    readonly dir: string,
    readonly bus: TestBus,
    private chain: LocalServer,
    private readonly simulator: ChildService,
    private readonly pccs: string,
    readonly kmsContract: string,
  ) {}

  static async start(): Promise<KmsStack> {
    const dir = await mkdtemp(join(tmpdir(), 'vouch-ks-'));
    await mkdir(join(dir, 'simulator'));
    const chainPort = await freePort();
    const [bus, chain, { simulator, pccs }] = await Promise.all([
      startTestBus(),
      startAnvil({ dataDir: join(dir, 'chain'), port: chainPort }),
      startSimulator(join(dir, 'simulator')),
    ]);
    const kmsContract = await withSigner(chain.url, async (signer) => {
      const { kms } = await deployKms(signer);
      await approveOsImage(signer, kms, OS_IMAGE);
      return kms;
    });
    const stack = new KmsStack(dir, bus, chain, simulator, pccs, kmsContract);
    await stack.#bootstrap();
    return stack;
  }

  get store(): JetStreamEventStore {
    if (this.#store === undefined) throw new TypeError('the stack is not bootstrapped');
    return this.#store;
  }

  get chainUrl(): string {
    return this.chain.url;
  }

  get simulatorDir(): string {
    return join(this.dir, 'simulator');
  }

  /** Whose checkpoints count. */
  get logVerifier(): { readonly origin: string; readonly publicKey: KeyObject } {
    return { origin: this.#authors.trust.log.origin, publicKey: createPublicKey(this.#authors.logPrivateKey) };
  }

  /** The KMS as a process; `more` changes its environment. */
  kms(more: Record<string, string> = {}): ChildService {
    const entry = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
    return ChildService.start(entry, { ...this.environment(), ...more });
  }

  /** Appends an event as its rightful writer, on its own connection rights. */
  async append<T extends EventType>(type: T, data: EventData<T>, node = ''): Promise<StoredEvent> {
    const service = node === '' ? 'control-api' : 'host-worker';
    return await this.appendAs(this.#authors.of(service, node), type, data);
  }

  async appendAs<T extends EventType>(author: EventAuthor, type: T, data: EventData<T>): Promise<StoredEvent> {
    const event = this.#authors.event(author, type, data, { time: new Date() });
    const { service, node } = author;
    const connection = await this.bus.connect({ service, node });
    const last = await this.store.lastOf(event.envelope.subject);
    const writer = new JetStreamEventStore({
      connection,
      directory: this.#directory ?? this.#authors.directory,
      readMode: service === 'host-worker' ? 'filtered-consumer' : 'message-get',
    });
    const outcome = await writer.append(event as never, last?.seq ?? 0);
    await connection.close();
    if (!outcome.ok) throw new Error(`conflict at ${outcome.lastSeq}`);
    const stored = await this.store.lastOf(event.envelope.subject);
    if (stored === undefined) throw new Error('the event is not there');
    return stored;
  }

  /** Answers `audit.receipt` as the auditor does. */
  startAuditor(): void {
    this.#auditing = this.#auditor?.subscribe('audit.receipt', {
      callback: (_error, message) => void this.#sendReceipt(message),
    });
  }

  async stopAuditor(): Promise<void> {
    await this.#auditing?.drain();
    await this.#auditor?.flush();
  }

  async stopChain(): Promise<void> {
    await this.chain.stop();
  }

  async restartChain(): Promise<void> {
    this.chain = await startAnvil({ dataDir: join(this.dir, 'chain'), port: this.chain.port });
  }

  async withSigner<T>(use: (signer: ReturnType<typeof privateKeySigner>) => Promise<T>): Promise<T> {
    return await withSigner(this.chain.url, use);
  }

  /** Folder of another KMS's root, which no trust file lists. */
  async otherRoot(): Promise<string> {
    const KMS_DATA_DIR = join(this.dir, 'other');
    await bootstrap(['--domain', 'other.example'], { ...this.environment(), KMS_DATA_DIR }, new Date());
    return KMS_DATA_DIR;
  }

  async stop(): Promise<void> {
    await this.simulator.end('SIGKILL');
    await this.bus.stop();
    await this.chain.kill9();
    await rm(this.dir, { recursive: true, force: true });
  }

  async #sendReceipt(message: Msg): Promise<void> {
    const { origin } = this.#authors.trust.log;
    const privateKey = this.#authors.logPrivateKey;
    const { seq } = message.json<{ seq: number }>();
    const tree = new MemoryTree();
    let event = new Uint8Array();
    for await (const stored of this.store.read({ fromSeq: 1, follow: false })) {
      tree.append(stored.bytes);
      if (stored.seq === seq) event = new Uint8Array(stored.bytes);
    }
    const checkpoint = { origin, size: tree.size, root: tree.root(), time: new Date() };
    const note = signCheckpoint(checkpoint, { privateKey, publicKey: createPublicKey(privateKey) });
    message.respond(JSON.stringify(receiptOf(seq, event, tree.inclusionProof(seq - 1), note)));
  }

  /** Root keys, and a trust file that lists the event key that follows from them. */
  async #bootstrap(): Promise<void> {
    await writeFile(join(this.dir, 'passphrase'), 'a passphrase for this test\n');
    await writeFile(join(this.dir, 'seed'), this.bus.seedOf({ service: 'kms', node: '' }));
    const printed = await bootstrap(['--domain', 'kms.example'], this.environment(), new Date());
    const statement = JSON.parse(printed) as PublicStatement;
    const others = this.#authors.trust.keys.filter(({ service }) => service !== 'kms');
    const kms = { service: 'kms' as const, node: '', publicKey: statement.eventKey };
    const trust: TrustFile = { ...this.#authors.trust, keys: [...others, kms] };
    await writeFile(join(this.dir, 'trust.json'), JSON.stringify(trust));
    this.statement = statement;
    this.#auditor = await this.bus.connect({ service: 'auditor', node: '' });
    this.#directory = new KeyDirectory(trust);
    this.#store = new JetStreamEventStore({ connection: this.#auditor, directory: this.#directory });
  }

  /** Settings of a KMS on this stack. */
  environment(): Record<string, string> {
    return {
      NATS_URL: this.bus.url,
      VOUCH_NATS_SEED_FILE: join(this.dir, 'seed'),
      VOUCH_TRUST_FILE: join(this.dir, 'trust.json'),
      VOUCH_MODE: 'development',
      KMS_DATA_DIR: join(this.dir, 'kms'),
      KMS_ID: 'kms-1',
      KMS_PASSPHRASE_FILE: join(this.dir, 'passphrase'),
      ETH_RPC_URL: this.chain.url,
      KMS_CONTRACT_ADDR: this.kmsContract,
      VOUCH_PCCS_URL: this.pccs,
      VOUCH_UNSAFE_TRUST_ANCHOR_FILE: join(this.simulatorDir, 'root-ca.pem'),
    };
  }
}

async function startSimulator(dataDir: string): Promise<{ simulator: ChildService; pccs: string }> {
  const entry = fileURLToPath(new URL('../../../quote-simulator/dist/main.js', import.meta.url));
  const simulator = ChildService.start(entry, {
    SIMULATOR_DATA_DIR: dataDir,
    SIMULATOR_ADMIN_SOCKET: join(dataDir, 'admin.sock'),
    SIMULATOR_PCCS_LISTEN: '127.0.0.1:0',
  });
  const { pccs } = await simulator.line(({ msg }) => msg === 'ready');
  return { simulator, pccs: String(pccs) };
}

async function withSigner<T>(
  url: string,
  use: (signer: ReturnType<typeof privateKeySigner>) => Promise<T>,
): Promise<T> {
  const provider = jsonRpcProvider(url);
  try {
    return await use(privateKeySigner(provider, DEVELOPMENT_KEY));
  } finally {
    provider.destroy();
  }
}
