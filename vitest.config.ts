import { defineConfig } from 'vitest/config';

/** Tests sit beside the code; packages import each other's build (dist), so `npm run build` comes first. */
export default defineConfig({
  test: {
    include: ['{apps,libs}/*/src/**/*.test.ts', '{contracts,migrations}/src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/dist/**', '**/node_modules/**'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    slowTestThreshold: 5_000,
  },
});
