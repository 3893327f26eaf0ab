import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** The package as its users import it, by its own name. */
it.each([
  ['twohop', 'Forwarder'],
  ['twohop', 'PacketBatch'],
  ['twohop', 'RawSender'],
  ['twohop', 'createDissector'],
  ['twohop', 'SessionSet'],
  ['twohop', 'ForwardingTable'],
  ['twohop/wire/gue.js', 'GueView'],
  ['twohop/flow/halfsiphash.js', 'halfSipHash24'],
  ['twohop/table/vip-matcher.js', 'VipMatcher'],
  ['twohop/path/forwarder.js', 'Forwarder'],
  ['twohop/io/memory.js', 'MemoryPort'],
  ['twohop/io/capture/reader.js', 'CaptureReader'],
  ['twohop/replay/dissect/dissect.js', 'dissect'],
])('%s exports %s', (specifier, name) => {
  const script = `import('${specifier}').then((room) => console.log(typeof room['${name}']))`;
  const root = fileURLToPath(new URL('../..', import.meta.url));
  expect(execFileSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' }).trim()).toBe(
    'function',
  );
});
