import { z } from 'zod';
import {
  checksum,
  fold,
  sumBytes,
  transportChecksum,
  transportChecksumOffset,
  update16,
  update32,
  verifyTransportChecksum,
} from '../../wire/checksum.js';
import { IpPacket } from '../../wire/ip.js';
import { IPV4_AT_CHECKSUM, Ipv4View } from '../../wire/ipv4.js';
import { REASON_NAMES, Reason } from '../../wire/reason.js';
import { malformedVector, type VectorFormat, type VectorResult } from './format.js';
import { hexBytes, isRecord, shapeProblems } from './shape.js';

/**
 * Internet checksums from RFCs and from packets of other systems. `vectors` has objects with `name`, `source`, and one
 * of (all numbers in hexadecimal):
 *
 * - `bytes`, with the `sum` and `checksum` of RFC 1071;
 * - `update`: `checksum`, `from`, `to`, with the `checksum` that RFC 1624 gives after one word changed (4 digits for 16
 *   bits, 8 for 32);
 * - `packet`, from its IP header on, with the `ipv4` and `transport` checksums that it should carry; `written` is what
 *   stands there instead of the transport checksum, where that is wrong.
 */

const word16 = z
  .string()
  .regex(/^[0-9a-f]{4}$/i, { error: 'expected four hexadecimal digits' })
  .transform((text) => Number.parseInt(text, 16));
const wordOrDouble = z
  .string()
  .regex(/^(?:[0-9a-f]{4}){1,2}$/i, { error: 'expected four or eight hexadecimal digits' });

const common = { name: z.string().min(1), source: z.string() };
const sumShape = z.object({ ...common, bytes: hexBytes, sum: word16.optional(), checksum: word16 });
const updateShape = z.object({
  ...common,
  update: z
    .object({ checksum: word16, from: wordOrDouble, to: wordOrDouble })
    .refine(({ from, to }) => from.length === to.length, {
      error: 'expected from and to of the same length',
    }),
  checksum: word16,
});
const packetShape = z.object({
  ...common,
  packet: hexBytes,
  ipv4: word16.optional(),
  transport: word16,
  written: word16.optional(),
});

export const checksums: VectorFormat = {
  name: 'checksums',

  recognises(file): boolean {
    return isRecord(file) && file.format === 'checksums' && Array.isArray(file.vectors);
  },

  *run(file): Generator<VectorResult> {
    if (!isRecord(file) || !Array.isArray(file.vectors)) return;
    for (const [index, value] of file.vectors.entries()) {
      const name = isRecord(value) && typeof value.name === 'string' && value.name !== '' ? value.name : null;
      const answer = isRecord(value) ? compare(value) : 'expected an object';
      if (typeof answer === 'string') yield malformedVector(index, name, [answer]);
      else
        yield {
          ...answer,
          name: name ?? `#${index}`,
          outcome: answer.detail.length === 0 ? 'passed' : 'failed',
        };
    }
  },
};

type Answer = Pick<VectorResult, 'group' | 'detail'>;

/** @returns what differs, or what is wrong with the vector */
function compare(value: Readonly<Record<string, unknown>>): Answer | string {
  if ('bytes' in value) return ask('sums', sumShape, value, compareSum);
  if ('update' in value) return ask('updates', updateShape, value, compareUpdate);
  if ('packet' in value) return ask('packets', packetShape, value, comparePacket);
  return 'expected bytes, update or packet';
}

function ask<Vector>(
  group: string,
  shape: z.ZodType<Vector>,
  value: unknown,
  differences: (vector: Vector) => string[],
): Answer | string {
  const vector = shape.safeParse(value);
  if (!vector.success) return shapeProblems(vector.error, value).join('; ');
  return { group, detail: differences(vector.data) };
}

function compareSum(vector: z.infer<typeof sumShape>): string[] {
  const data = viewOf(vector.bytes);
  return [
    ...differing('sum', vector.sum, fold(sumBytes(data, 0, data.byteLength))),
    ...differing('checksum', vector.checksum, checksum(data, 0, data.byteLength)),
  ];
}

function compareUpdate({ update, checksum: expected }: z.infer<typeof updateShape>): string[] {
  const { from, to } = update;
  const [before, after] = [from, to].map((text) => Number.parseInt(text, 16));
  const got = (from.length === 4 ? update16 : update32)(update.checksum, before, after);
  return differing('checksum', expected, got);
}

function comparePacket({
  packet: original,
  ipv4,
  transport,
  written,
}: z.infer<typeof packetShape>): string[] {
  const bytes = Uint8Array.from(original);
  const data = viewOf(bytes);
  const packet = new IpPacket();
  const reason = packet.parse(data, 0, data.byteLength);
  if (reason !== Reason.Ok) return [`the packet cannot be read: ${REASON_NAMES[reason]}`];
  const lines: string[] = [];
  if (packet.version === 4) {
    const view = new Ipv4View();
    view.attach(data, 0, data.byteLength);
    lines.push(...differing('ipv4, as written', ipv4, view.checksum));
    if (view.verifyChecksum() !== Reason.Ok) lines.push('ipv4: is not found right');
    data.setUint16(IPV4_AT_CHECKSUM, 0);
    lines.push(...differing('ipv4', ipv4, checksum(data, 0, view.headerLength)));
  }
  const found = verifyTransportChecksum(packet);
  const wanted = written === undefined ? Reason.Ok : Reason.BadChecksum;
  if (found !== wanted)
    lines.push(`transport: expected to be found ${REASON_NAMES[wanted]}, got ${REASON_NAMES[found]}`);
  const field = packet.transport + transportChecksumOffset(packet.protocol, packet.version);
  if (field >= packet.transport && field + 2 <= packet.end) {
    lines.push(...differing('transport, as written', written ?? transport, data.getUint16(field)));
  }
  return [...lines, ...differing('transport', transport, transportChecksum(packet))];
}

function differing(what: string, expected: number | undefined, got: number): string[] {
  const hex = (value: number): string => `0x${(value & 0xffff).toString(16).padStart(4, '0')}`;
  return expected === undefined || expected === got
    ? []
    : [`${what}: expected ${hex(expected)}, got ${got < 0 ? 'none' : hex(got)}`];
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
