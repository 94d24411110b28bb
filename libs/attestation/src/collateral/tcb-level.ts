import type { JsonReader } from '../json-reader.js';
import { TCB_STATUSES, type TcbStatus } from '../verify/tcb-status.js';

/** What every kind of TCB level says besides its SVNs. */
export interface TcbLevelFacts {
  readonly status: TcbStatus;
  /** Exactly as in the document (ISO 8601). */
  readonly tcbDate: string;
  readonly advisoryIds: readonly string[];
}

/** A level of an enclave identity or TDX module: one ISV SVN. */
export interface IsvLevel extends TcbLevelFacts {
  readonly isvSvn: number;
}

/** The only statuses that module and enclave levels may have. */
const ISV_STATUSES: readonly TcbStatus[] = ['UpToDate', 'OutOfDate', 'Revoked'];
/** Statuses a platform level may have; relaunch is never listed, it is derived. */
const PLATFORM_STATUSES = TCB_STATUSES.filter((status) => !status.startsWith('TDRelaunch'));
const LEVELS_MAX = 1024;
const SVN_MAX = 65535;

export function readLevelFacts(level: JsonReader, allowed: readonly TcbStatus[] = PLATFORM_STATUSES): TcbLevelFacts {
  const text = level.member('tcbStatus').string();
  const status = allowed.find((candidate) => candidate === text);
  if (status === undefined)
    throw level.member('tcbStatus').refuse(`is "${text.slice(0, 64)}", not a status of this level`);
  const date = level.member('tcbDate');
  date.time();
  const advisoryIds = (level.optional('advisoryIDs')?.array(LEVELS_MAX) ?? []).map((entry) => entry.string());
  return { status, tcbDate: date.string(), advisoryIds };
}

/** Levels sorted by descending ISV SVN; an empty or doubled list is refused. */
export function readIsvLevels(list: JsonReader): readonly IsvLevel[] {
  const levels = readLevels(list, (level) => ({
    isvSvn: level.member('tcb').member('isvsvn').integer(0, SVN_MAX),
    ...readLevelFacts(level, ISV_STATUSES),
  }));
  const sorted = levels.toSorted((a, b) => b.isvSvn - a.isvSvn);
  if (sorted.some((level, i) => sorted[i + 1]?.isvSvn === level.isvSvn)) throw list.refuse('has two equal levels');
  return sorted;
}

export function readLevels<T>(list: JsonReader, read: (level: JsonReader) => T): readonly T[] {
  const levels = list.array(LEVELS_MAX);
  if (levels.length === 0) throw list.refuse('is empty');
  return levels.map(read);
}
