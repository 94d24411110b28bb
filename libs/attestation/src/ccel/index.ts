export { parseCcel } from './ccel-events.js';
export { parseTcgEventLog, TCG_ALGORITHMS, type TcgEvent, type TcgEventLog } from './tcg-event-log.js';
