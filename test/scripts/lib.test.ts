import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** What the scripts call to install packages, with commands in place of the machine's that only write down their calls. */

const LIB = fileURLToPath(new URL('../../scripts/lib.sh', import.meta.url));

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'twohop-lib-'));
  command('id', 'echo 0');
  for (const name of ['apt-get', 'systemctl', 'invoke-rc.d', 'update-rc.d']) command(name, '');
});
afterEach(() => rmSync(directory, { recursive: true }));

function command(name: string, script: string): void {
  const record = `echo "${name} $*$(sed 's/^exit/ under exit/p;d' ${policy()} 2>/dev/null)" >>${join(directory, 'calls')}`;
  writeFileSync(join(directory, name), `#!/bin/sh\n${record}\n${script}\n`, { mode: 0o755 });
}

const policy = () => join(directory, 'policy-rc.d');

/** @returns the commands that were called, those of `id` left out, and what the script came to */
function bash(script: string) {
  const all = `set -euo pipefail\n. ${LIB}\npolicy=${policy()}\n${script}\necho "missing:$missing_packages."`;
  const env = { ...process.env, PATH: `${directory}:${process.env.PATH}` };
  const { status, stdout, stderr } = spawnSync('bash', ['-c', all], { encoding: 'utf8', env });
  const calls = existsSync(join(directory, 'calls')) ? readFileSync(join(directory, 'calls'), 'utf8') : '';
  const called = calls.split('\n').filter((line) => line !== '' && !line.startsWith('id '));
  return { status, stdout, stderr, called };
}

/** However services are stopped here. */
const STOPS_NSD = /^(systemctl disable --now --quiet nsd.service|update-rc.d nsd disable)$/;
const INSTALL =
  'need no-such-nsd nsd; need no-such-nsd-control nsd; need sh dash; need no-such-dig dig-package\n';

describe('installing packages', () => {
  it('names each once, starts no service, and has nsd off', () => {
    const { status, stdout, called } = bash(`${INSTALL}install_missing`);
    expect(status).toBe(0);
    expect(stdout).toBe('installing Debian packages: nsd dig-package\nmissing:.\n');
    expect(called[0]).toBe('apt-get -y --no-install-recommends install nsd dig-package under exit 101');
    expect(called.at(-1)).toMatch(STOPS_NSD);
    expect(existsSync(policy())).toBe(false);
  });

  it('has nsd off when it fails too, and says what apt-get said', () => {
    command('apt-get', 'echo "E: $1 broken"; exit 100');
    const { status, stderr, called } = bash(`${INSTALL}install_missing`);
    expect(status).toBe(1);
    expect(stderr).toContain('E: -y broken');
    expect(stderr).toContain('twohop: apt-get could not install: nsd dig-package\n');
    expect(called.at(-1)).toMatch(STOPS_NSD);
    expect(existsSync(policy())).toBe(false);
  });

  it('tries again with new package lists', () => {
    const lists = join(directory, 'lists');
    command('apt-get', `case "$*" in *update) touch ${lists} ;; *) test -e ${lists} ;; esac`);
    const { status, called } = bash(`${INSTALL}install_missing`);
    expect(status).toBe(0);
    expect(called.slice(0, 3).map((line) => line.split(' ')[3])).toEqual(['install', 'update', 'install']);
  });

  it('has the services of all packages off that came just now, and no others', () => {
    const { called } = bash(
      'need no-such-etcd etcd-server; need no-such-bird bird2; need no-such-prometheus prometheus\ninstall_missing',
    );
    const off = called.flatMap((line) => /(\w+)\.service$|^update-rc\.d (\w+)/.exec(line)?.slice(1) ?? []);
    expect(off.filter((service) => service !== undefined)).toEqual(['etcd', 'prometheus', 'bird']);
  });

  it("leaves somebody's own policy, and an nsd that was there, as they are", () => {
    writeFileSync(policy(), '#!/bin/sh\nexit 0\n');
    const { called } = bash('need no-such-dig dig-package\ninstall_missing');
    expect(called).toEqual(['apt-get -y --no-install-recommends install dig-package under exit 0']);
    expect(readFileSync(policy(), 'utf8')).toBe('#!/bin/sh\nexit 0\n');
  });

  it('does nothing when nothing is missing, and tells others than root what to do', () => {
    expect(bash('need sh dash\ninstall_missing').called).toEqual([]);
    command('id', 'echo 1000');
    const { status, stderr, called } = bash(`${INSTALL}install_missing`);
    expect(status).toBe(1);
    expect(stderr).toBe('twohop: that takes root: sudo apt-get install nsd dig-package\n');
    expect(called).toEqual([]);
  });
});
