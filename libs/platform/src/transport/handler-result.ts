import { isObservable, lastValueFrom } from 'rxjs';

/** Waits for what a Nest handler returned: a value, a promise or a stream (its last value; undefined when empty). */
export async function handlerResult(returned: unknown): Promise<unknown> {
  const value = await returned;
  return isObservable(value) ? await lastValueFrom(value, { defaultValue: undefined }) : value;
}
