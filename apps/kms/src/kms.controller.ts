import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { StoredEvent } from '@vouch/eventstore';
import { BusRequestContext } from '@vouch/platform';
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

  @EventPattern('evt.attestation.>', { durable: 'kms-attestation' })
  async attestationSubmitted(@Payload() event: StoredEvent<'attestation.submitted'>): Promise<void> {
    await this.answerer.answer(event);
  }

  @MessagePattern('kms.challenge.*')
  async challenge(@Payload() request: unknown, @Ctx() context: BusRequestContext): Promise<IssuedChallenge> {
    return await this.challenges.issue(hostOf(context), request);
  }

  @MessagePattern('kms.certificate.*')
  async certificate(@Payload() request: unknown, @Ctx() context: BusRequestContext): Promise<{ chain: string[] }> {
    return await this.certificates.issue(hostOf(context), request);
  }
}

function hostOf(context: BusRequestContext): string {
  return context.subject.split('.')[2] ?? '';
}
