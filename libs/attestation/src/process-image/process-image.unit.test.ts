import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ProcessImageInvalidError, processImageChecksums, processImageHash } from './process-image-hash.js';
import { processMeasurements } from './process-measurements.js';
import { processVmConfigText, readProcessVmConfig } from './process-vm-config.js';

const text = (value: string) => new TextEncoder().encode(value);
const files = [
  { path: 'main.js', bytes: text('main') },
  { path: 'api/server.js', bytes: text('server') },
];
const config = { osImageHash: 'ab'.repeat(32), vcpu: 2, memoryMiB: 2048 };

describe('process image hash', () => {
  it('is SHA-256 of the sorted checksum file, whatever the order of the files', () => {
    const lines = processImageChecksums(files);
    expect(lines.split('\n').map((line) => line.split('  ')[1])).toEqual(['api/server.js', 'main.js', undefined]);
    expect(processImageHash(files)).toBe(createHash('sha256').update(lines).digest('hex'));
    expect(processImageHash([...files].reverse())).toBe(processImageHash(files));
  });

  it('changes with one byte of content and with one name', () => {
    const whole = processImageHash(files);
    expect(processImageHash([{ path: 'main.js', bytes: text('mainx') }, ...files.slice(1)])).not.toBe(whole);
    expect(processImageHash([{ path: 'mainx.js', bytes: text('main') }, ...files.slice(1)])).not.toBe(whole);
  });

  it.each(['', '/etc/x', '../x', 'a/../b', 'a//b', './x', 'a\nb', 'a b', 'a/'])('refuses the path %j', (path) => {
    expect(() => processImageHash([{ path, bytes: text('') }])).toThrow(ProcessImageInvalidError);
  });

  it('refuses no files and a path given twice', () => {
    expect(() => processImageHash([])).toThrow(/at least one/);
    expect(() => processImageHash([...files, ...files])).toThrow(/twice/);
  });
});

describe('process measurements', () => {
  it('are what the boot events replay to', () => {
    const measured = processMeasurements(config);
    for (const [imr, register] of [measured.rtMr0, measured.rtMr1, measured.rtMr2].entries()) {
      let replayed = Buffer.alloc(48);
      for (const event of measured.bootEvents.filter((entry) => entry.imr === imr)) {
        replayed = createHash('sha384').update(replayed).update(Buffer.from(event.digest, 'hex')).digest();
      }
      expect(Buffer.from(register).equals(replayed)).toBe(true);
    }
    expect(measured.mrTd).toHaveLength(48);
  });

  it('puts the machine in RTMR0 and the image in RTMR1 and RTMR2', () => {
    const base = processMeasurements(config);
    const machine = processMeasurements({ ...config, memoryMiB: 4096 });
    const image = processMeasurements({ ...config, osImageHash: 'cd'.repeat(32) });
    expect(machine.rtMr0).not.toEqual(base.rtMr0);
    expect(machine.rtMr1).toEqual(base.rtMr1);
    expect(processMeasurements({ ...config, vcpu: 3 }).rtMr0).not.toEqual(base.rtMr0);
    expect(image.rtMr0).toEqual(base.rtMr0);
    expect(image.rtMr1).not.toEqual(base.rtMr1);
    expect(image.rtMr2).not.toEqual(base.rtMr2);
  });

  it('refuses a malformed image hash or size', () => {
    expect(() => processMeasurements({ ...config, osImageHash: 'AB' })).toThrow(TypeError);
    expect(() => processMeasurements({ ...config, vcpu: 0 })).toThrow(TypeError);
    expect(() => processMeasurements({ ...config, memoryMiB: 1.5 })).toThrow(TypeError);
  });
});

describe('process vm_config', () => {
  it('reads back what was written', () => {
    expect(readProcessVmConfig(processVmConfigText(config))).toEqual({ ok: true, config });
  });

  it.each([
    ['not json', '{'],
    ['no object', '[]'],
    ['unknown key', processVmConfigText(config).replace('{', '{"num_gpus":1,')],
    ['other driver', processVmConfigText(config).replace('"process"', '"qemu"')],
    ['bad hash', processVmConfigText({ ...config, osImageHash: 'AB' })],
    ['no cpu', processVmConfigText({ ...config, vcpu: 0 })],
    ['broken MiB', processVmConfigText({ ...config, memoryMiB: 0.5 })],
    ['other version', processVmConfigText(config).replace('"spec_version":1', '"spec_version":2')],
  ])('refuses %s', (_name, input) => {
    const reading = readProcessVmConfig(input);
    expect(reading.ok).toBe(false);
  });
});
