/* The walk from an IP header to its transport header: the twin of src/wire/ip.ts, check by check. */
#ifndef TWIN_IP_H
#define TWIN_IP_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

enum {
  PROTOCOL_ICMP = 1,
  PROTOCOL_IPIP = 4,
  PROTOCOL_TCP = 6,
  PROTOCOL_UDP = 17,
  PROTOCOL_IPV6 = 41,
  PROTOCOL_ESP = 50,
  PROTOCOL_AH = 51,
  PROTOCOL_ICMPV6 = 58,
  EXTENSION_HOP_BY_HOP = 0,
  EXTENSION_ROUTING = 43,
  EXTENSION_FRAGMENT = 44,
  EXTENSION_DESTINATION = 60,
  EXTENSION_MOBILITY = 135,
  EXTENSION_HIP = 139,
  EXTENSION_SHIM6 = 140,
  MAX_EXTENSION_HEADERS = 8
};

enum fragment { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

/* Offsets are absolute in `data`. */
struct ip_packet {
  const uint8_t *data;
  int offset;
  int version;
  int protocol;
  int transport;
  int end;
  enum fragment fragment;
};

static inline bool is_extension(int next) {
  switch (next) {
    case EXTENSION_HOP_BY_HOP:
    case EXTENSION_ROUTING:
    case EXTENSION_FRAGMENT:
    case EXTENSION_DESTINATION:
    case PROTOCOL_AH:
    case EXTENSION_MOBILITY:
    case EXTENSION_HIP:
    case EXTENSION_SHIM6:
      return true;
    default:
      return false;
  }
}

static bool ip_walk_extensions(struct ip_packet *ip, int next, int at) {
  const uint8_t *data = ip->data;
  for (int count = 0; is_extension(next); count++) {
    if (count == MAX_EXTENSION_HEADERS || at + 8 > ip->end) return false;
    int following = data[at];
    if (next == EXTENSION_FRAGMENT) {
      int offset_and_more = get16(data + at + 2);
      at += 8;
      if (offset_and_more >> 3 != 0) {
        ip->fragment = FRAGMENT_LATER;
        ip->protocol = following;
        ip->transport = at;
        return true;
      }
      if (offset_and_more & 1) ip->fragment = FRAGMENT_FIRST;
    } else if (next == PROTOCOL_AH) {
      at += (data[at + 1] + 2) << 2;
    } else {
      at += (data[at + 1] + 1) << 3;
    }
    if (at > ip->end) return false;
    next = following;
  }
  ip->protocol = next;
  ip->transport = at;
  return true;
}

/* `cut`: a packet quoted by an ICMP error, whose length field may reach beyond `limit`. */
static inline bool ip_parse(struct ip_packet *ip, const uint8_t *data, int offset, int limit, bool cut) {
  if (limit - offset < 20) return false;
  ip->data = data;
  ip->offset = offset;
  int first = data[offset];
  if (first >> 4 == 4) {
    int header_length = (first & 0x0f) << 2;
    int total_length = get16(data + offset + 2);
    if (header_length < 20 || offset + header_length > limit || total_length < header_length) return false;
    int end = offset + total_length;
    if (end > limit) {
      if (!cut) return false;
      end = limit;
    }
    int flags_and_offset = get16(data + offset + 6);
    ip->version = 4;
    ip->protocol = data[offset + 9];
    ip->transport = offset + header_length;
    ip->end = end;
    ip->fragment = (flags_and_offset & 0x1fff) != 0   ? FRAGMENT_LATER
                   : (flags_and_offset & 0x2000) != 0 ? FRAGMENT_FIRST
                                                      : FRAGMENT_NONE;
    return true;
  }
  if (first >> 4 == 6) {
    if (limit - offset < 40) return false;
    int end = offset + 40 + get16(data + offset + 4);
    if (end > limit) {
      if (!cut) return false;
      end = limit;
    }
    ip->version = 6;
    ip->end = end;
    ip->fragment = FRAGMENT_NONE;
    int next = data[offset + 6];
    if (next == PROTOCOL_TCP || next == PROTOCOL_UDP || next == PROTOCOL_ICMPV6) {
      ip->protocol = next;
      ip->transport = offset + 40;
      return true;
    }
    return ip_walk_extensions(ip, next, offset + 40);
  }
  return false;
}

#endif
