// A flow dissector for TURN: everything that carries a STUN username (RFC 8489 section 14.3) goes by that name, so that
// an allocation survives its client's change of address. What has none goes by the 4-tuple: return 0.

const COOKIE = 0x2112a442; // fixed, at byte 4 of every STUN message (section 5)
const USERNAME = 0x0006;
const FALLBACK = 0;
const DROP = -2; // for the first of `drops`; -3 would be for the second

export default {
  name: 'stun-username',
  protocols: [17],
  create({ longest = 64 }) {
    return {
      name: 'stun-username',
      drops: ['bad_attribute'],
      dissect(packet, _flow, key) {
        const { data, end } = packet;
        const stun = packet.transport + 8; // behind the UDP header
        if (stun + 20 > end || data.getUint32(stun + 4) !== COOKIE) return FALLBACK;
        for (let at = stun + 20; at + 4 <= end; ) {
          const length = data.getUint16(at + 2);
          if (at + 4 + length > end) return DROP;
          if (data.getUint16(at) === USERNAME && length > 0) {
            const wanted = Math.min(length, longest); // a key has at most 64 bytes
            for (let i = 0; i < wanted; i++) key.bytes[i] = data.getUint8(at + 4 + i);
            return wanted;
          }
          at += 4 + ((length + 3) & ~3); // attributes are padded to four bytes
        }
        return FALLBACK;
      },
    };
  },
};
