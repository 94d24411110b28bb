/** Exit codes of `replay` and `migrate`, for scripts. */
export const EXIT_CODES = { equal: 0, misuse: 1, difference: 2, unavailable: 3 } as const;
