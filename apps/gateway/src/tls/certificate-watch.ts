import { Inject, Injectable } from '@nestjs/common';
import { PinoLogger } from '@vouch/platform';
import { GatewayMetrics } from '../gateway-metrics.js';
import { SERVER_CERTIFICATE } from '../tokens.js';
import type { ServerCertificate } from './server-certificate.js';

const CHECK_MS = 2_000;

/** Looks for replaced certificate files every two seconds and takes them up; new connections then see the new pair. */
@Injectable()
export class CertificateWatch {
  #timer: NodeJS.Timeout | undefined;
  #lastProblem: string | undefined;

  constructor(
    @Inject(SERVER_CERTIFICATE) private readonly certificate: ServerCertificate,
    private readonly metrics: GatewayMetrics,
    private readonly logger: PinoLogger,
  ) {
    logger.setContext('certificate');
  }

  start(): void {
    this.metrics.certificateEnds(this.certificate.summary.notAfter);
    this.#timer = setInterval(() => void this.#check(), CHECK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    try {
      if (!(await this.certificate.reload())) return;
      this.#lastProblem = undefined;
      this.metrics.certificateEnds(this.certificate.summary.notAfter);
      this.logger.info(this.certificate.summary, 'certificate taken up');
    } catch (error) {
      // Said once per problem: a pair that does not fit together is looked at again every time.
      const { message } = error as Error;
      if (message === this.#lastProblem) return;
      this.#lastProblem = message;
      this.logger.warn({ err: message }, 'certificate not taken up; the one before is still served');
    }
  }
}
