import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { DurableEvents, OrderedEvents } from './event-subscription.js';

/**
 * `@EventPattern` of the event log with its options checked by the compiler. The method gets (StoredEvent,
 * JetStreamContext). `pattern` is the subject filter for `ordered`; a durable consumer has its own filter.
 */
export function OnEvents(pattern: string, how: DurableEvents | OrderedEvents): MethodDecorator {
  return withContext(EventPattern<string>(pattern, how));
}

/** `@MessagePattern` of a bus request. The method gets (parsed JSON, BusRequestContext); what it returns is the reply. */
export function OnRequest(subject: string): MethodDecorator {
  return withContext(MessagePattern<string>(subject));
}

/** Nest passes the context only to a parameter decorated with `@Ctx()`, and then the payload only with `@Payload()`. */
function withContext(pattern: MethodDecorator): MethodDecorator {
  return (target, key, descriptor) => {
    Payload()(target, key, 0);
    Ctx()(target, key, 1);
    return pattern(target, key, descriptor);
  };
}
