import type { TdxEvent } from './tdx-event.js';

const ACPI_EVENT_TYPE = 10;
const ACPI_PAYLOAD = Buffer.from('ACPI DATA', 'latin1');

/** Names dstack gives the three ACPI measurements of RTMR 0, in log order (firmware gives all three the same payload). */
export const ACPI_EVENT_NAMES = ['acpi-loader', 'acpi-rsdp', 'acpi-tables'] as const;

/** True for events of RTMR 0 of the type the ACPI measurements have; firmware uses it for other things as well. */
export function isAcpiType(event: TdxEvent): boolean {
  return event.imr === 0 && event.eventType === ACPI_EVENT_TYPE;
}

/** True for the events of RTMR 0 whose digests are those of QEMU's ACPI tables. */
export function isAcpiEvent(event: TdxEvent): boolean {
  return isAcpiType(event) && Buffer.compare(event.payload, ACPI_PAYLOAD) === 0;
}
