/** ControlApiConfig. */
export const CONTROL_API_CONFIG = Symbol('CONTROL_API_CONFIG');
