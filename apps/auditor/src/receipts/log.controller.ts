import { Controller, Get, Header, HttpException, Param, Query, StreamableFile } from '@nestjs/common';
import type { Receipt } from '@vouch/transparency';
import { ProjectionRunner } from '../projection-runner.js';
import { ReceiptError } from './receipt-error.js';

/** Longest wait of an HTTP reader for a receipt, ms: a checkpoint follows news within the interval anyway. */
const HTTP_WAIT_MS = 2_000;

/**
 * The log for those who check it: checkpoint, receipts and consistency proofs. Whoever keeps the last checkpoint and asks
 * for the proof to the next notices a rewritten history. Everything here is verifiable and nothing is secret from the
 * operators of the fleet, but it is served without a credential: keep the listener on a private network.
 */
@Controller('log')
export class LogController {
  constructor(private readonly runner: ProjectionRunner) {}

  /** The last signed checkpoint, a C2SP signed note. */
  @Get('checkpoint')
  @Header('content-type', 'text/plain; charset=utf-8')
  async checkpoint(): Promise<string> {
    return await answered(async () => (await this.runner.receipts.checkpoint()).note);
  }

  /** Receipt of one event by its log position. */
  @Get('receipt/:seq')
  async receipt(@Param('seq') seq: string): Promise<Receipt> {
    return await answered(() => this.runner.receipts.receipt(decimal(seq), HTTP_WAIT_MS));
  }

  /**
   * Hash tiles and entry bundles in the C2SP tlog-tiles layout: `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`. Only
   * what a signed checkpoint covers is served. A full tile never changes.
   */
  @Get('tile/*')
  @Header('content-type', 'application/octet-stream')
  async tile(@Param('*') path: string): Promise<StreamableFile> {
    return new StreamableFile(await answered(() => this.runner.tiles.read(path)));
  }

  /** Proof that the tree of `from` leaves is a prefix of the tree of `to` leaves: hashes in base64. */
  @Get('consistency')
  async consistency(@Query('from') from: string, @Query('to') to: string): Promise<{ proof: string[] }> {
    return await answered(async () => ({ proof: await this.runner.receipts.consistency(decimal(from), decimal(to)) }));
  }
}

function decimal(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

const STATUS: Readonly<Record<ReceiptError['code'], number>> = {
  'receipt-request-invalid': 400,
  'receipt-not-ready': 404,
  'checkpoint-unknown': 404,
  'tile-unknown': 404,
  'receipt-unprovable': 500,
};

async function answered<R>(work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ReceiptError)) throw error;
    const { code, message, retryable } = error;
    throw new HttpException({ error: { code, message, retryable } }, STATUS[code]);
  }
}
