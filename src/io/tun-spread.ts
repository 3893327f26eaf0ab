import { randomBytes } from 'node:crypto';
import { check, libc, NativeMemory } from './libc.js';
import { NEEDS_NET_ADMIN, SystemError } from './system-error.js';

/**
 * Which queue of a TUN device a packet goes to. By itself the kernel learns that from what is written into the queues:
 * it keeps a table of 4096 flows, which every write looks through, and behind which every write of another flow takes
 * one lock of the whole device; and a flow moves to whichever worker wrote a packet of it last. So we hand it a
 * program (eBPF) that chooses by the packet alone: a flow has one queue, and writes take no lock.
 *
 * Source: tun_net_select_queue and tun_flow_update in the kernel's drivers/net/tun.c; bpf(2); for the instructions
 * Documentation/bpf/standardization/instruction-set.rst.
 */

const SYS_BPF = process.arch === 'arm64' ? 280 : 321;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_SOCKET_FILTER = 1;
/** The part of `union bpf_attr` that a load needs: type@0, count@4, instructions@8, license@16, version@40. */
const ATTR_SIZE = 48;
const TUNSETSTEERINGEBPF = 0x800454e0;

/** Words that are hashed: two IPv6 addresses and the ports, and a constant. */
const KEYS = 10;
const PORTS_KEY = KEYS - 1;

/** Operations, as the instruction set names them. */
const Op = {
  loadWord: 0x20,
  loadHalf: 0x28,
  loadByte: 0x30,
  loadWordAt: 0x40,
  loadImmediate: 0x18,
  add: 0x0f,
  multiply: 0x2f,
  and: 0x57,
  shiftLeft: 0x67,
  shiftRight: 0x77,
  move: 0xbf,
  jump: 0x05,
  jumpIfEqual: 0x15,
  jumpIfNot: 0x55,
  exit: 0x95,
} as const;

/** One instruction of eight bytes. Loads from the packet go into register 0, take it from 6, and destroy 1 to 5. */
function instruction(op: number, to = 0, from = 0, offset = 0, immediate = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes[0] = op;
  bytes[1] = to | (from << 4);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}

const loadByte = (at: number) => instruction(Op.loadByte, 0, 0, 0, at);

function loadKey(register: number, key: Buffer): Buffer[] {
  return [
    instruction(Op.loadImmediate, register, 0, 0, key.readInt32LE(0)),
    instruction(0, 0, 0, 0, key.readInt32LE(4)),
  ];
}

/** Adds the product of register 0 and a key to register 7. */
function hashIn(key: Buffer): Buffer[] {
  return [...loadKey(1, key), instruction(Op.multiply, 0, 1), instruction(Op.add, 7, 0)];
}

/** Goes past `block`, unless register 0 holds TCP's or UDP's number. */
function ifPorts(block: readonly Buffer[]): Buffer[] {
  return [
    instruction(Op.jumpIfEqual, 0, 0, 1, 6),
    instruction(Op.jumpIfNot, 0, 0, block.length, 17),
    ...block,
  ];
}

/**
 * The program: the upper half of k0 + sum of k[i] * word[i], over addresses and ports. With random keys nobody can
 * choose flows that all come to one queue. Fragments, and what has no ports, go by addresses alone, so that the
 * fragments of a packet stay together. Bytes that a packet does not have end the program: queue 0.
 */
export function spreadProgram(random: Buffer = randomBytes(8 * KEYS)): Buffer {
  const key = (index: number) => random.subarray(8 * index, 8 * index + 8);
  const word = (at: number, index: number) => [instruction(Op.loadWord, 0, 0, 0, at), ...hashIn(key(index))];
  const ports4 = [
    loadByte(0),
    instruction(Op.and, 0, 0, 0, 0xf),
    instruction(Op.shiftLeft, 0, 0, 0, 2),
    instruction(Op.move, 8, 0),
    instruction(Op.loadWordAt, 0, 8),
    ...hashIn(key(PORTS_KEY)),
  ];
  const unfragmented = [loadByte(9), ...ifPorts(ports4)];
  const ipv6 = [
    ...Array.from({ length: 8 }, (_, i) => word(8 + 4 * i, 1 + i)).flat(),
    loadByte(6),
    ...ifPorts(word(40, PORTS_KEY)),
  ];
  const ipv4 = [
    ...word(12, 1),
    ...word(16, 2),
    instruction(Op.loadHalf, 0, 0, 0, 6),
    // More fragments, or an offset.
    instruction(Op.and, 0, 0, 0, 0x3fff),
    instruction(Op.jumpIfNot, 0, 0, unfragmented.length, 0),
    ...unfragmented,
    instruction(Op.jump, 0, 0, ipv6.length),
  ];
  return Buffer.concat([
    instruction(Op.move, 6, 1),
    ...loadKey(7, key(0)),
    loadByte(0),
    instruction(Op.shiftRight, 0, 0, 0, 4),
    instruction(Op.jumpIfEqual, 0, 0, ipv4.length, 6),
    ...ipv4,
    ...ipv6,
    instruction(Op.move, 0, 7),
    instruction(Op.shiftRight, 0, 0, 0, 32),
    instruction(Op.exit),
  ]);
}

/**
 * Lets the program choose the queues of the device behind `fd`, for all its queues and until the next one does.
 * @returns why the kernel goes on choosing, in words; empty when the program does
 */
export function spreadByFlow(fd: number): string {
  const c = libc();
  const program = spreadProgram();
  const instructions = new NativeMemory(program.length);
  instructions.bytes.set(program);
  const license = new NativeMemory(1);
  const attr = new NativeMemory(ATTR_SIZE);
  attr.data.setUint32(0, BPF_PROG_TYPE_SOCKET_FILTER, true);
  attr.data.setUint32(4, program.length / 8, true);
  attr.setPointer(8, instructions.address);
  attr.setPointer(16, license.address);
  try {
    const loaded = check(
      c.syscall(SYS_BPF, BPF_PROG_LOAD, attr.address, ATTR_SIZE, 0, 0, 0),
      'bpf',
      'BPF_PROG_LOAD',
      { EPERM: NEEDS_NET_ADMIN },
    );
    try {
      const argument = new NativeMemory(4);
      argument.data.setInt32(0, loaded, true);
      check(c.ioctl(fd, TUNSETSTEERINGEBPF, argument.address), 'TUNSETSTEERINGEBPF');
    } finally {
      c.close(loaded);
    }
    return '';
  } catch (error) {
    if (error instanceof SystemError) return error.message;
    throw error;
  }
}
