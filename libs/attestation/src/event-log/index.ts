export { ACPI_EVENT_NAMES, isAcpiEvent } from './acpi-event.js';
export { bindEventLog, EVENT_LOG_CHECKS } from './bind-event-log.js';
export { identityFromEventLog } from './identity.js';
export { eventLogJson, parseEventLog } from './parse-event-log.js';
export { extendRtmr, isRuntimeEvent, RTMR_BYTES, replayRtmr } from './replay.js';
export {
  RUNTIME_EVENT_TYPE,
  type RuntimeEvent,
  replayRuntimePcr,
  runtimeEventDigest,
  runtimeEventPreimage,
} from './runtime-event.js';
export type {
  BindEventLogResult,
  BoundEventLog,
  EventLogIdentity,
  IdentityResult,
  Imr,
  ParseEventLogResult,
  TdxEvent,
} from './tdx-event.js';
