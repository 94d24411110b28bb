import { Controller } from '@nestjs/common';
import type { StoredEvent } from '@vouch/eventstore';
import { type BusRequestContext, OnEvents, OnRequest } from '@vouch/platform';
import { CertificateIssuer } from './certificate/certificate-issuer.js';
import type { IssuedChallenge } from './challenge/challenge-book.js';
import { ChallengeIssuer } from './challenge/challenge-issuer.js';
import { RequestAnswerer } from './grant/answer-request.js';

/** What reaches the KMS over the bus. The host is the last token of the subject, which the bus lets only that host use. */
@Controller()
export class KmsController {
  constructor(
    private readonly answerer: RequestAnswerer,
    private readonly challenges: ChallengeIssuer,
    private readonly certificates: CertificateIssuer,
  ) {}

  @OnEvents('evt.attestation.>', { durable: 'kms-attestation' })
  async attestationSubmitted(event: StoredEvent<'attestation.submitted'>): Promise<void> {
    await this.answerer.answer(event);
  }

  @OnRequest('kms.challenge.*')
  async challenge(request: unknown, context: BusRequestContext): Promise<IssuedChallenge> {
    return await this.challenges.issue(hostOf(context), request);
  }

  @OnRequest('kms.certificate.*')
  async certificate(request: unknown, context: BusRequestContext): Promise<{ chain: string[] }> {
    return await this.certificates.issue(hostOf(context), request);
  }
}

function hostOf(context: BusRequestContext): string {
  return context.subject.split('.')[2] ?? '';
}
