import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    // Namespaces and TUN devices are shared by the machine's two cores; files run one after another in e2e.
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
