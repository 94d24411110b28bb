import { expect } from 'vitest';
import type { Answer } from './api-client.js';

/** The answer must be a problem document that says what, where and whether to try again. */
export function expectProblem(answer: Answer, status: number, code: string, field?: string): void {
  expect(answer.body).toMatchObject({ status, code, title: expect.any(String), detail: expect.any(String) });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  if (field !== undefined) expect(answer.body.errors.map((error: { field: string }) => error.field)).toContain(field);
}
