/**
 * The "process guest image": what stands for a guest OS image when the host runs guests as plain processes on simulated
 * TDX. It names the files that are measured, the hash of the image, and the boot measurements a genuine boot of that
 * image must show. The simulator sets its registers from these functions and a verifier checks quotes against the very
 * same ones, so that the two can never drift apart. A process guest is a development weakening: what is measured is the
 * guest agent's code, not the kernel it runs on.
 */
export * from './boot-event.js';
export * from './process-image-hash.js';
export * from './process-measurements.js';
export * from './process-vm-config.js';
export * from './read-process-image.js';
