/** Counts of attestation requests under dstack's metric names: GetAppKey, GetKmsKey and SignCert, failed when status ≥ 400. */
export class WireCounters {
  #requests = 0;
  #failures = 0;

  count(method: string | undefined, status: number): void {
    if (method !== 'GetAppKey' && method !== 'GetKmsKey' && method !== 'SignCert') return;
    this.#requests += 1;
    if (status >= 400) this.#failures += 1;
  }

  /** Prometheus text format. */
  text(): string {
    const lines = [
      ['dstack_kms_attestation_requests_total', 'Calls of GetAppKey, GetKmsKey and SignCert', this.#requests],
      ['dstack_kms_attestation_failures_total', 'Those that were answered with an error', this.#failures],
    ] as const;
    return lines
      .map(([name, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} counter\n${name} ${value}\n`)
      .join('');
  }
}
