/* Forwarder and redirector: the twins of src/path/forwarder.ts, encapsulate.ts and redirector.ts. */
#include "path.h"

#include "classify.h"
#include "flow.h"
#include "hash.h"
#include "owner.h"

enum { OUTER_HEADER = 20, ENCAPSULATION_BASE = 36, HOP_LENGTH = 4, TTL = 64, WRAPPER_MINIMUM = 16 };
/* Bits of the private data's first byte. */
enum { FORWARD_SYN = 0x08, NOT_UNDERSTOOD = 0xf7 };

static enum action action_of(enum verdict verdict) {
  static const uint8_t actions[VERDICT_COUNT] = {
      [PASS_NOT_VIP] = ACTION_DELIVER,       [PASS_NO_SERVICE] = ACTION_DELIVER,   [PASS_ICMP] = ACTION_DELIVER,
      [FORWARD] = ACTION_SEND,               [FORWARD_ICMP_ERROR] = ACTION_SEND,   [ACCEPT_SYN] = ACTION_DELIVER,
      [ACCEPT_ESTABLISHED] = ACTION_DELIVER, [ACCEPT_SYN_COOKIE] = ACTION_DELIVER, [ACCEPT_LAST_HOP] = ACTION_DELIVER,
      [ACCEPT_SELF] = ACTION_DELIVER,        [ACCEPT_ICMP_ERROR] = ACTION_DELIVER, [ACCEPT_ICMP] = ACTION_DELIVER,
      [REDIRECT] = ACTION_SEND};
  return actions[verdict];
}

static void count(struct counters *counters, enum stage stage, int trafficset, enum verdict verdict, int length) {
  counters->packets[stage][trafficset + 1][verdict]++;
  counters->bytes[stage][trafficset + 1][verdict] += length;
}

/* --- forwarder --- */

static void encapsulate(uint8_t *at, int total, int version, uint32_t source, uint32_t destination,
                        uint16_t source_port, uint16_t port, uint32_t hop, int next_hop) {
  int hops = hop == 0 ? 0 : 1;
  uint32_t sum = 0x4500 + 0x4000 + (TTL << 8 | PROTOCOL_UDP) + total;
  sum += (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);

  put32(at, 0x45000000u | total);
  put32(at + 4, 0x00004000);
  put32(at + 8, TTL << 24 | PROTOCOL_UDP << 16 | (~sum & 0xffff));
  put32(at + 12, source);
  put32(at + 16, destination);
  put32(at + 20, (uint32_t)source_port << 16 | port);
  put32(at + 24, (uint32_t)(total - OUTER_HEADER) << 16);
  put32(at + 28, (1u + hops) << 24 | (version == 4 ? PROTOCOL_IPIP : PROTOCOL_IPV6) << 16);
  put32(at + 32, next_hop << 8 | hops);
  if (hops == 1) put32(at + 36, hop);
}

static enum verdict wrap(const struct state *state, struct batch *batch, int i, int length, int version,
                         uint32_t destination, uint32_t hop, int next_hop, enum verdict verdict) {
  int overhead = hop == 0 ? ENCAPSULATION_BASE : ENCAPSULATION_BASE + HOP_LENGTH;
  int total = length + overhead;
  if ((uint32_t)total > state->underlay_mtu) return DROP_TOO_BIG;
  int start = batch->offset[i] - overhead;
  encapsulate(batch->bytes + start, total, version, state->dip, destination, 0x8000 | batch->flow_hash[i] >> 17,
              state->port, hop, next_hop);
  batch->offset[i] = start;
  batch->length[i] = total;
  batch->next_hop[i] = destination;
  return verdict;
}

static enum verdict forward_verdict_of(enum packet_class kind) {
  switch (kind) {
    case CLASS_NOT_VIP:
      return PASS_NOT_VIP;
    case CLASS_NO_SERVICE:
      return PASS_NO_SERVICE;
    case CLASS_ICMP:
      return PASS_ICMP;
    case CLASS_FRAGMENT:
      return DROP_FRAGMENT;
    case CLASS_MALFORMED_TRANSPORT:
      return DROP_MALFORMED_TRANSPORT;
    case CLASS_MALFORMED_ICMP:
      return DROP_MALFORMED_ICMP;
    case CLASS_ICMP_MISMATCH:
      return DROP_ICMP_MISMATCH;
    default:
      return DROP_MALFORMED_IP;
  }
}

static inline enum verdict forward_judge(const struct state *state, struct owner *owner, struct batch *batch, int i) {
  struct classified found;
  int offset = batch->offset[i];
  enum packet_class kind = classify(&found, state, batch->bytes, offset, offset + batch->length[i]);
  batch->trafficset[i] = found.trafficset;
  if (kind != CLASS_FLOW && kind != CLASS_FLOW_ERROR) return forward_verdict_of(kind);

  const struct trafficset *trafficset = &state->trafficsets[found.trafficset];
  if (trafficset->slots == NULL) return DROP_NO_TABLE;
  uint8_t key[MAX_TUPLE];
  int key_length = four_tuple_key(&found.flow, key);
  uint32_t hash = half_sip_hash(trafficset->key, key, key_length);
  batch->flow_hash[i] = hash;
  const uint32_t *bucket = trafficset->slots + 2 * (hash & trafficset->mask);
  uint32_t first = bucket[0];
  if (first == 0) return DROP_EMPTY_BUCKET;
  uint32_t second = trafficset->two_slots ? bucket[1] : 0;

  int length = found.packet.end - offset;
  if (first == state->dip) {
    batch->length[i] = length;
    batch->next_hop[i] = second;
    return owner_decide(owner, &found.flow, trafficset, &state->sockets.lookup, second, state->dip, i, false);
  }
  return wrap(state, batch, i, length, found.packet.version, first, second, 0,
              kind == CLASS_FLOW ? FORWARD : FORWARD_ICMP_ERROR);
}

static enum verdict forward_settle(const struct state *state, const struct owner *owner, struct batch *batch,
                                   int query) {
  enum verdict verdict = owner_verdict(owner, query);
  if (verdict != REDIRECT) return verdict;
  int i = owner->slot[query];
  uint32_t second = batch->next_hop[i];
  return wrap(state, batch, i, batch->length[i], owner->queries[query].version, second, second, 1, verdict);
}

static inline void forward_conclude(struct counters *counters, struct batch *batch, int i, enum verdict verdict,
                                    int entered) {
  if (verdict == UNDECIDED) return;
  batch->verdict[i] = verdict;
  batch->action[i] = action_of(verdict);
  count(counters, STAGE_FORWARD, batch->trafficset[i], verdict, entered);
}

void forwarder_process(const struct state *state, struct counters *counters, struct batch *batch) {
  struct owner owner;
  int entered[BATCH_CAPACITY];
  owner.count = 0;
  for (int i = 0; i < batch->count; i++) {
    entered[i] = batch->length[i];
    enum verdict verdict = forward_judge(state, &owner, batch, i);
    forward_conclude(counters, batch, i, verdict, entered[i]);
  }
  owner_resolve(&owner, &state->sockets.lookup);
  for (int query = 0; query < owner.count; query++) {
    int i = owner.slot[query];
    forward_conclude(counters, batch, i, forward_settle(state, &owner, batch, query), entered[i]);
  }
}

/* --- redirector --- */

static bool is_underlay(const struct state *state, uint32_t address) {
  for (int i = 0; i < state->prefix_count; i++) {
    if ((address & state->prefixes[2 * i + 1]) == state->prefixes[2 * i]) return true;
  }
  return false;
}

/* RFC 1624, equation 3. */
static uint16_t update16(uint16_t checksum, uint16_t old, uint16_t new) {
  uint32_t sum = (uint16_t)~checksum + (uint16_t)~old + new;
  sum = (sum & 0xffff) + (sum >> 16);
  return ~(uint16_t)((sum & 0xffff) + (sum >> 16));
}

static uint16_t update32(uint16_t checksum, uint32_t old, uint32_t new) {
  uint32_t sum = (uint16_t)~checksum;
  sum += (uint16_t)~(old >> 16) + (uint16_t)~old;
  sum += (new >> 16) + (new & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~(uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void rewrite_outer(uint8_t *header, uint32_t hop) {
  uint8_t *udp = header + ((header[0] & 0x0f) << 2);
  uint32_t source = get32(header + 12);
  uint32_t self = get32(header + 16);
  put32(header + 12, self);
  put32(header + 16, hop);
  put16(header + 10, update32(get16(header + 10), source, hop));

  uint16_t hops = get16(udp + 14);
  put16(udp + 14, hops + 0x0100);
  uint16_t checksum = get16(udp + 6);
  if (checksum != 0) {
    uint16_t updated = update16(update32(checksum, source, hop), hops, hops + 0x0100);
    put16(udp + 6, updated == 0 ? 0xffff : updated);
  }
}

static enum verdict redirect_verdict_of(enum packet_class kind) {
  switch (kind) {
    case CLASS_ICMP:
      return ACCEPT_ICMP;
    case CLASS_FRAGMENT:
      return DROP_FRAGMENT;
    case CLASS_MALFORMED_TRANSPORT:
      return DROP_MALFORMED_TRANSPORT;
    case CLASS_MALFORMED_ICMP:
      return DROP_MALFORMED_ICMP;
    case CLASS_ICMP_MISMATCH:
      return DROP_ICMP_MISMATCH;
    default:
      return DROP_NOT_VIP;
  }
}

/* Where in the arena each packet's inner packet begins and ends. */
struct inner {
  int offset[BATCH_CAPACITY];
  int end[BATCH_CAPACITY];
};

static inline enum verdict redirect_judge(const struct state *state, struct owner *owner, struct inner *inner,
                                          struct batch *batch, int i) {
  const uint8_t *data = batch->bytes;
  int offset = batch->offset[i];
  struct ip_packet outer;
  if (!ip_parse(&outer, data, offset, offset + batch->length[i], false) || outer.version != 4) {
    return DROP_MALFORMED_GUE;
  }
  if (outer.fragment != FRAGMENT_NONE) return DROP_FRAGMENT;
  if (outer.protocol != PROTOCOL_UDP) return DROP_NOT_OURS;
  const uint8_t *udp = data + outer.transport;
  if (outer.end - outer.transport < WRAPPER_MINIMUM) return DROP_MALFORMED_GUE;
  if (get32(data + offset + 16) != state->dip || get16(udp + 2) != state->port) return DROP_NOT_OURS;
  int end = outer.transport + get16(udp + 4);
  if (end > outer.end) return DROP_MALFORMED_GUE;
  if (!is_underlay(state, get32(data + offset + 12))) return DROP_STRANGER;

  uint32_t gue = get32(udp + 8);
  int header_words = gue >> 24;
  int protocol = gue >> 16 & 0xff;
  if (header_words > 0x1f || (gue & 0xffff) != 0) return DROP_MALFORMED_GUE;
  uint32_t private_data = get32(udp + 12);
  int private_flags = private_data >> 24;
  if ((private_flags & NOT_UNDERSTOOD) != 0 || (private_data & 0xff0000) != 0) return DROP_MALFORMED_GUE;
  int next_hop = private_data >> 8 & 0xff;
  int hop_count = private_data & 0xff;
  int start = outer.transport + 12 + header_words * 4;
  if (header_words != 1 + hop_count || next_hop > hop_count || start > end) return DROP_HOP_LIST;

  struct classified found;
  enum packet_class kind = classify(&found, state, data, start, end);
  batch->trafficset[i] = found.trafficset;
  if (kind == CLASS_MALFORMED_IP) return DROP_MALFORMED_IP;
  if (protocol != (found.packet.version == 4 ? PROTOCOL_IPIP : PROTOCOL_IPV6)) return DROP_MALFORMED_IP;
  inner->offset[i] = start;
  inner->end[i] = found.packet.end;
  if (kind != CLASS_FLOW && kind != CLASS_FLOW_ERROR) return redirect_verdict_of(kind);

  uint32_t hop = next_hop < hop_count ? get32(udp + 16 + next_hop * 4) : 0;
  if (hop != 0 && !is_underlay(state, hop)) return DROP_HOP_LIST;
  batch->next_hop[i] = hop;
  return owner_decide(owner, &found.flow, &state->trafficsets[found.trafficset], &state->sockets.lookup, hop,
                      state->dip, i, (private_flags & FORWARD_SYN) != 0);
}

static inline void redirect_conclude(struct counters *counters, const struct inner *inner, struct batch *batch, int i,
                                     enum verdict verdict) {
  if (verdict == UNDECIDED) return;
  batch->verdict[i] = verdict;
  enum action action = action_of(verdict);
  batch->action[i] = action;
  count(counters, STAGE_REDIRECT, batch->trafficset[i], verdict, batch->length[i]);
  if (action == ACTION_DELIVER) {
    batch->offset[i] = inner->offset[i];
    batch->length[i] = inner->end[i] - inner->offset[i];
  } else if (action == ACTION_SEND) {
    rewrite_outer(batch->bytes + batch->offset[i], batch->next_hop[i]);
  }
}

void redirector_process(const struct state *state, struct counters *counters, struct batch *batch) {
  struct owner owner;
  struct inner inner;
  owner.count = 0;
  for (int i = 0; i < batch->count; i++) {
    batch->trafficset[i] = -1;
    redirect_conclude(counters, &inner, batch, i, redirect_judge(state, &owner, &inner, batch, i));
  }
  owner_resolve(&owner, &state->sockets.lookup);
  for (int query = 0; query < owner.count; query++) {
    redirect_conclude(counters, &inner, batch, owner.slot[query], owner_verdict(&owner, query));
  }
}
