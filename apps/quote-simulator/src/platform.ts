/**
 * The simulated machine: its TCB as the PCK certificate, the TCB info and the TD report all state it. The values are
 * shaped like a current TDX platform; the FMSPC is no real family (it spells "QUOTES"), so that collateral of this
 * simulator can never be mistaken for Intel's.
 */
export const PLATFORM = {
  /** 6 bytes, hex. */
  fmspc: '51554f544553',
  /** 2 bytes, hex. */
  pceId: '0000',
  sgxComponents: [8, 8, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
  pceSvn: 13,
  /** teeTcbSvn: [0] module SVN, [1] module major version, [2] and on platform SVNs. */
  teeTcbSvn: [5, 1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  /** The same under the previous TDX module and platform update. */
  previousTeeTcbSvn: [3, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  /** Major version of the TDX module: selects the `TDX_01` module identity. */
  tdxModuleId: 'TDX_01',
} as const;
