export const GATEWAY_CONFIG = Symbol('gateway config');
export const ROUTING_TABLE = Symbol('routing table');
export const SERVER_CERTIFICATE = Symbol('server certificate');
