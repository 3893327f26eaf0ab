import { defineConfig } from 'vitest/config';

/** Tests that start whole data centers, nodes or demonstrations: on two cores they would only wait for one another. */
const WHOLE_SYSTEM = ['test/**/*.e2e.test.ts', 'test/testbed/**/*.test.ts'];

export default defineConfig({
  test: {
    globalSetup: ['test/global-setup.ts'],
    pool: 'forks',
    // `npm run fuzz` makes tests with random input that much longer.
    testTimeout: 60_000 * Number(process.env.FUZZ ?? '1'),
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: WHOLE_SYSTEM,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: WHOLE_SYSTEM,
          fileParallelism: false,
          // Dozens of processes with time limits of their own share two cores with whatever else the machine does. The
          // report says which test needed its second try.
          retry: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
