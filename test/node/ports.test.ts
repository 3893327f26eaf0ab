import { readdirSync } from 'node:fs';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { libc } from '../../src/io/libc.js';
import { openPorts } from '../../src/node/ports.js';
import { pathConfig } from '../bench/workload.js';
import { enterPrivateNetwork, ip } from '../io/private-network.js';
import { describePrivileged } from '../privileged.js';

const TUNSETOFFLOAD = 0x400454d0;
const TUN_F_USO = 0x60;
const SOL_UDP = 17;
const UDP_GRO = 104;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const IO_URING_SETUP = 425;
const BPF = process.arch === 'arm64' ? 280 : 321;
const EPERM = 1;
const EINVAL = 22;
const ENOSYS = 38;
const ENOPROTOOPT = 92;

describePrivileged('the ports of a data plane', ['root', 'tun', 'namespaces', 'ip'], () => {
  beforeAll(() => {
    enterPrivateNetwork();
    ip('link set lo up');
    ip('addr add 10.9.1.1/32 dev lo');
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Opens and closes them, with what was found. */
  function found(
    offload: 'auto' | 'off',
    sender: 'mmsg' | 'raw-socket' = 'mmsg',
    tunBatch: 'auto' | 'off' = 'auto',
  ) {
    const path = { ...pathConfig(0x0a090101), port: 6080 };
    const ports = openPorts({ tun: 'lb-ports', maxPacket: 1500, path, sender, offload, tunBatch }, () => {});
    for (const port of [ports.tun, ports.gue, ports.underlay]) port.close();
    return ports;
  }

  /** A kernel that answers -1 and this error where `refused` says so. */
  function refuse(
    call: 'ioctl' | 'setsockopt' | 'syscall',
    errno: number,
    refused: (...words: number[]) => boolean,
  ): void {
    const c = libc();
    const real = c[call] as (...words: number[]) => number;
    const realErrno = c.errno;
    let failed = false;
    vi.spyOn(c, call).mockImplementation((...words: number[]) => {
      failed = refused(...words);
      return failed ? -1 : real(...words);
    });
    vi.spyOn(c, 'errno').mockImplementation(() => (failed ? errno : realErrno()));
  }

  it('carry super-packets where the kernel has all of it, and more of them at once', () => {
    const ports = found('auto');
    expect(ports.offload).toMatchObject({ offload: 'tcp+udp', reason: '', tunCalls: 'batched' });
    expect(ports.batch.capacity).toBe(128);
  });

  it('carry TCP alone where the TUN has no UDP segmentation, and say so', () => {
    refuse(
      'ioctl',
      EINVAL,
      (_fd, request, argument) => request === TUNSETOFFLOAD && (argument & TUN_F_USO) !== 0,
    );
    expect(found('auto').offload).toMatchObject({
      offload: 'tcp',
      reason: expect.stringContaining('no UDP segmentation on TUN devices'),
    });
  });

  it.each([
    [
      'TUNSETOFFLOAD',
      () => refuse('ioctl', EINVAL, (_fd, request, argument) => request === TUNSETOFFLOAD && argument !== 0),
    ],
    [
      'UDP_GRO',
      () =>
        refuse('setsockopt', ENOPROTOOPT, (_fd, level, option) => level === SOL_UDP && option === UDP_GRO),
    ],
    [
      'PACKET_VNET_HDR',
      () =>
        refuse(
          'setsockopt',
          ENOPROTOOPT,
          (_fd, level, option) => level === SOL_PACKET && option === PACKET_VNET_HDR,
        ),
    ],
  ])('are plain ones where the kernel refuses %s, which the reason names', (what, withhold) => {
    const before = ip('-o link show');
    const descriptors = readdirSync('/proc/self/fd').length;
    withhold();
    const ports = found('auto');
    // A GUE socket left open would go on getting its share of the packets.
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
    expect(ports.offload).toMatchObject({ offload: 'off', reason: expect.stringContaining(what) });
    expect(ports.batch.capacity).toBe(64);
    expect(ports.batch.extra ?? 0).toBe(0);
    // Neither try left the device behind.
    expect(ip('-o link show')).toBe(before);
  });

  it('are plain ones without a reason where nobody asked for offload, and with one where the sender has none', () => {
    expect(found('off').offload).toMatchObject({ offload: 'off', reason: '' });
    expect(found('auto', 'raw-socket').offload.reason).toBe('sender: raw-socket sends single packets');
  });

  it.each(['off', 'auto'] as const)(
    'read and write the TUN many packets at a time, unless they are not to: offload %s',
    (offload) => {
      expect(found(offload).offload).toMatchObject({ tunCalls: 'batched', tunCallsReason: '' });
      expect(found(offload, 'mmsg', 'off').offload).toMatchObject({ tunCalls: 'single', tunCallsReason: '' });
    },
  );

  it('leave the queues to the kernel where it takes no program, and say why', () => {
    expect(found('off').offload.tunQueuesReason).toBe('');
    refuse('syscall', EPERM, (number) => number === BPF);
    expect(found('off').offload.tunQueuesReason).toMatch(/bpf BPF_PROG_LOAD: EPERM/);
    expect(found('auto').offload.tunQueuesReason).toMatch(/bpf BPF_PROG_LOAD: EPERM/);
  });

  it.each([
    [ENOSYS, 'no io_uring'],
    [EPERM, 'forbidden'],
    [EINVAL, 'too old'],
  ])('take one packet at a time where io_uring answers errno %i, and say why', (errno, why) => {
    const descriptors = readdirSync('/proc/self/fd').length;
    refuse('syscall', errno, (number) => number === IO_URING_SETUP);
    for (const offload of ['off', 'auto'] as const) {
      expect(found(offload).offload).toMatchObject({
        tunCalls: 'single',
        tunCallsReason: expect.stringContaining(why),
      });
    }
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
  });

  it('fail where plain ones cannot be opened either', () => {
    refuse('setsockopt', ENOPROTOOPT, (_fd, level) => level === SOL_UDP);
    const path = { ...pathConfig(0x0a090163), port: 6080 };
    expect(() =>
      openPorts(
        { tun: 'lb-ports', maxPacket: 1500, path, sender: 'mmsg', offload: 'auto', tunBatch: 'auto' },
        () => {},
      ),
    ).toThrow(/EADDRNOTAVAIL/);
  });
});
