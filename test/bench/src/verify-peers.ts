import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { verify } from '@phala/dcap-qvl';
import { initSync, js_verify } from '@phala/dcap-qvl-web';
import type { VerifyInput } from './verify-inputs.js';

/** Another verifier: answers the status of one quote, or throws. */
export type PeerVerify = (input: VerifyInput) => string;

/** The published npm verifiers of Intel quotes. Both trust Intel's root only and have one way, which keeps nothing. */
export function peers(): { readonly dcapQvl: PeerVerify; readonly dcapQvlWeb: PeerVerify } {
  const wasm = new URL('dcap-qvl-web_bg.wasm', import.meta.resolve('@phala/dcap-qvl-web'));
  initSync({ module: readFileSync(fileURLToPath(wasm)) });
  const seconds = (input: VerifyInput): number => Math.floor(input.now.getTime() / 1000);
  return {
    dcapQvl: (input) => verify(input.quote, input.collateral, seconds(input)).status,
    dcapQvlWeb: (input) =>
      (js_verify(input.quote, input.collateral, BigInt(seconds(input))) as { status: string }).status,
  };
}
