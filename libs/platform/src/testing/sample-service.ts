import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';

import type { StoredEvent } from '@vouch/eventstore';
import { PlatformModule } from '../platform.module.js';
import { runService } from '../run-service.js';
import { type BusRequestContext } from '../transport/bus-request-transport.js';
import { OnEvents, OnRequest } from '../transport/handler-decorators.js';
import type { JetStreamContext } from '../transport/jetstream-context.js';

/** A service as apps write them, run as a process by the life-cycle test. */
@Controller()
export class SampleController {
  #seen = 0;

  @OnEvents('evt.>', { ordered: true })
  async onEvent(event: StoredEvent, _context: JetStreamContext): Promise<void> {
    if (event.envelope.type === 'host.cordoned') throw new TypeError('a bug in a handler');
    this.#seen = event.seq;
  }

  @OnRequest('kms.challenge.*')
  onRequest(_request: unknown, context: BusRequestContext): { seen: number; subject: string } {
    if (context.subject.endsWith('.refused')) {
      throw Object.assign(new Error('not you'), { code: 'refused', retryable: false });
    }
    return { seen: this.#seen, subject: context.subject };
  }
}

@Module({ imports: [PlatformModule.forService({ service: 'control-api' })], controllers: [SampleController] })
export class SampleModule {}

await runService(SampleModule, { service: 'control-api' });
