export const hash = (byte: string) => byte.repeat(32);
export const COMPOSE = hash('c1');
export const IMAGE = hash('05');
export const APP = 'aa'.repeat(20);

/** The body dstack's key server posts for an app's instance. */
export const BODY = {
  teeVariant: 'dstack-tdx',
  mrAggregated: hash('a1'),
  osImageHash: IMAGE,
  mrSystem: hash('a2'),
  appId: APP,
  composeHash: COMPOSE,
  instanceId: '1b'.repeat(20),
  deviceId: hash('de'),
  keyProviderInfo: '7b7d',
  tcbStatus: 'UpToDate',
  advisoryIds: [],
};
