import { Controller } from '@nestjs/common';
import { OnRequest } from '@vouch/platform';
import type { Receipt } from '@vouch/transparency';
import { ProjectionRunner } from '../projection-runner.js';
import { ReceiptError } from './receipt-error.js';

/** `audit.receipt` {seq} -> Receipt, once a signed checkpoint covers it. The bus lets only the KMS ask. */
@Controller()
export class ReceiptController {
  constructor(private readonly runner: ProjectionRunner) {}

  @OnRequest('audit.receipt')
  receipt(request: unknown): Promise<Receipt> {
    const seq = (request as { seq?: unknown } | null)?.seq;
    if (typeof seq !== 'number') throw new ReceiptError('receipt-request-invalid', 'seq must be a number', false);
    return this.runner.receipts.receipt(seq);
  }
}
