import { transportChecksum, verifyTransportChecksum } from '../../wire/checksum.js';
import { FragmentKind, IP_PROTOCOL_UDP, IpPacket } from '../../wire/ip.js';
import { Reason } from '../../wire/reason.js';
import type { LayerReader } from './layer-reader.js';
import { hex16 } from './text.js';

const packet = new IpPacket();

/**
 * Says whether the checksum of a transport header holds, for the note of its field; one that does not becomes the
 * layer's problem. A quote's is only noted: routers change what they quote.
 * @param layer at the checksum field @param protocol of the header that it reads
 */
export function transportChecksumNote(layer: LayerReader, protocol: number, stored: number): string {
  const { ip, missing, start } = layer.place;
  if (protocol === IP_PROTOCOL_UDP && stored === 0) {
    return ip?.version === 6 ? 'none: over IPv6 only in tunnels' : 'none';
  }
  if (ip === null || packet.parseQuoted(layer.data, ip.start, ip.limit) !== Reason.Ok) return 'not checked';
  if (packet.transport !== start || packet.protocol !== protocol) return 'not checked';
  if (ip.routed) return 'not checked: on its way to another address';
  if (packet.fragment !== FragmentKind.None) return 'not checked: a fragment';
  if (missing > 0) return 'not checked: bytes are missing';
  const reason = verifyTransportChecksum(packet);
  if (reason === Reason.Ok) return 'correct';
  if (reason !== Reason.BadChecksum) return 'not checked';
  return wrongChecksum(layer, hex16(transportChecksum(packet)));
}

/** The note for a checksum that does not hold. */
export function wrongChecksum(layer: LayerReader, right: string): string {
  if (!layer.place.quoted) layer.problem(`checksum wrong, should be ${right}`);
  return `wrong, should be ${right}`;
}
