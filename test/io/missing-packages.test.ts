import { describe, expect, it, vi } from 'vitest';
import { libc } from '../../src/io/libc.js';
import { RawSocketPackageSender } from '../../src/io/raw-socket-package.js';

vi.mock('node:module', async (original) => ({
  ...(await original<typeof import('node:module')>()),
  createRequire: () => (name: string) => {
    throw new Error(`Cannot find module '${name}'`);
  },
}));

describe('packages that are not installed', () => {
  it('koffi: says what it is for and how to get it', () => {
    expect(() => libc()).toThrow(/^koffi, the library that makes system calls.*npm ci --include=optional/);
  });

  it('raw-socket: says that it is optional, how to get it and what to use instead', () => {
    expect(() => RawSocketPackageSender.open()).toThrow(
      /optional package raw-socket is not installed.*npm install raw-socket.*sender: mmsg/,
    );
  });
});
