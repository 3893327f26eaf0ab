/* What a packet is to the load balancer: the twin of src/path/classify.ts. */
#ifndef TWIN_CLASSIFY_H
#define TWIN_CLASSIFY_H

#include "flow.h"
#include "path.h"

enum packet_class {
  CLASS_FLOW,
  CLASS_FLOW_ERROR,
  CLASS_ICMP,
  CLASS_NOT_VIP,
  CLASS_NO_SERVICE,
  CLASS_FRAGMENT,
  CLASS_MALFORMED_IP,
  CLASS_MALFORMED_TRANSPORT,
  CLASS_MALFORMED_ICMP,
  CLASS_ICMP_MISMATCH
};

enum { ANY_PORT = -1 };

struct classified {
  struct ip_packet packet;
  struct flow flow;
  /* Index, or -1. */
  int trafficset;
};

static inline int match_destination(const struct vips *vips, const struct ip_packet *packet, int port) {
  const uint8_t *header = packet->data + packet->offset;
  return packet->version == 4 ? vips_match4(vips, get32(header + 16), packet->protocol, port)
                              : vips_match6(vips, header + 24, packet->protocol, port);
}

static inline bool same_vip(const struct ip_packet *packet, const struct flow *flow) {
  const uint8_t *quoted = packet->data + flow->destination_offset;
  const uint8_t *header = packet->data + packet->offset;
  return packet->version == 4 ? memcmp(header + 16, quoted, 4) == 0 : memcmp(header + 24, quoted, 16) == 0;
}

static enum packet_class classify_icmp(struct classified *out, const struct vips *vips) {
  switch (read_icmp(&out->packet, &out->flow)) {
    case ICMP_MALFORMED:
      return CLASS_MALFORMED_ICMP;
    case ICMP_FRAGMENT_ERROR:
      return CLASS_FRAGMENT;
    case ICMP_OTHER:
      return CLASS_ICMP;
    case ICMP_FLOW_ERROR:
      break;
  }
  const struct flow *flow = &out->flow;
  if (!same_vip(&out->packet, flow)) return CLASS_ICMP_MISMATCH;
  const uint8_t *vip = flow->data + flow->destination_offset;
  int match = flow->version == 4 ? vips_match4(vips, get32(vip), flow->protocol, flow->destination_port)
                                 : vips_match6(vips, vip, flow->protocol, flow->destination_port);
  if (match < 0) return CLASS_ICMP;
  out->trafficset = match;
  return CLASS_FLOW_ERROR;
}

static inline enum packet_class classify(struct classified *out, const struct state *state, const uint8_t *data,
                                         int offset, int limit) {
  struct ip_packet *packet = &out->packet;
  out->trafficset = -1;
  if (!ip_parse(packet, data, offset, limit, false)) return CLASS_MALFORMED_IP;

  bool is_ported = packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP;
  bool has_ports = packet->fragment == FRAGMENT_NONE && is_ported;
  if (has_ports || packet->fragment != FRAGMENT_NONE) {
    int port = has_ports && packet->end - packet->transport >= 4 ? get16(data + packet->transport + 2) : ANY_PORT;
    int match = match_destination(&state->vips, packet, port);
    /* No trafficset of the workload follows fragments: the first one tells whose it is, and is dropped. */
    if (packet->fragment == FRAGMENT_FIRST && is_ported && packet->end - packet->transport >= 4) {
      int own = match_destination(&state->vips, packet, get16(data + packet->transport + 2));
      if (own >= 0) match = own;
    }
    if (match < 0) return match == NOT_VIP ? CLASS_NOT_VIP : CLASS_NO_SERVICE;
    out->trafficset = match;
    if (packet->fragment != FRAGMENT_NONE) return CLASS_FRAGMENT;
    return read_transport_flow(packet, &out->flow) ? CLASS_FLOW : CLASS_MALFORMED_TRANSPORT;
  }

  if (match_destination(&state->vips, packet, ANY_PORT) == NOT_VIP) return CLASS_NOT_VIP;
  if (!is_icmp(packet->protocol, packet->version)) return CLASS_NO_SERVICE;
  return classify_icmp(out, &state->vips);
}

#endif
