/* The flow of a packet, also of one quoted by an ICMP error: the twin of src/flow/flow.ts and four-tuple.ts. */
#ifndef TWIN_FLOW_H
#define TWIN_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "ip.h"

enum { FLAG_SYN = 0x02, TCP_HEADER = 20, UDP_HEADER = 8, ICMP_HEADER = 8 };

/* As the client's packets show it: source is the client, destination the VIP. */
struct flow {
  const uint8_t *data;
  int version;
  int protocol;
  int source_offset;
  int destination_offset;
  uint16_t source_port;
  uint16_t destination_port;
  uint8_t tcp_flags;
  uint32_t sequence;
  bool quoted;
};

static inline bool read_transport_flow(const struct ip_packet *packet, struct flow *flow) {
  const uint8_t *data = packet->data;
  const uint8_t *transport = data + packet->transport;
  int room = packet->end - packet->transport;
  if (packet->protocol == PROTOCOL_TCP) {
    if (room < TCP_HEADER) return false;
    int header_length = (transport[12] >> 4) << 2;
    if (header_length < TCP_HEADER || header_length > room) return false;
    flow->tcp_flags = transport[13];
    flow->sequence = get32(transport + 4);
  } else {
    if (room < UDP_HEADER) return false;
    flow->tcp_flags = 0;
    flow->sequence = 0;
  }
  int addresses = packet->offset + (packet->version == 4 ? 12 : 8);
  flow->data = data;
  flow->version = packet->version;
  flow->protocol = packet->protocol;
  flow->source_offset = addresses;
  flow->destination_offset = addresses + (packet->version == 4 ? 4 : 16);
  flow->source_port = get16(transport);
  flow->destination_port = get16(transport + 2);
  flow->quoted = false;
  return true;
}

enum icmp_class { ICMP_MALFORMED, ICMP_FLOW_ERROR, ICMP_FRAGMENT_ERROR, ICMP_OTHER };

static inline bool is_icmp(int protocol, int version) {
  return protocol == (version == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6);
}

static enum icmp_class read_icmp(const struct ip_packet *packet, struct flow *flow) {
  const uint8_t *data = packet->data;
  int start = packet->transport;
  if (packet->end - start < ICMP_HEADER) return ICMP_MALFORMED;
  int type = data[start];
  bool error = packet->protocol == PROTOCOL_ICMP ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
  if (!error) return ICMP_OTHER;

  struct ip_packet quote;
  if (!ip_parse(&quote, data, start + ICMP_HEADER, packet->end, true)) return ICMP_MALFORMED;
  if (quote.version != packet->version) return ICMP_MALFORMED;
  bool has_ports = quote.protocol == PROTOCOL_TCP || quote.protocol == PROTOCOL_UDP;
  if (!has_ports && quote.protocol != PROTOCOL_ESP) return ICMP_OTHER;
  if (quote.fragment == FRAGMENT_LATER) return ICMP_FRAGMENT_ERROR;
  if (has_ports && quote.end - quote.transport < 4) return ICMP_MALFORMED;

  int addresses = quote.offset + (quote.version == 4 ? 12 : 8);
  flow->data = data;
  flow->version = quote.version;
  flow->protocol = quote.protocol;
  flow->source_offset = addresses + (quote.version == 4 ? 4 : 16);
  flow->destination_offset = addresses;
  flow->source_port = has_ports ? get16(data + quote.transport + 2) : 0;
  flow->destination_port = has_ports ? get16(data + quote.transport) : 0;
  flow->tcp_flags = 0;
  flow->sequence = 0;
  flow->quoted = true;
  return ICMP_FLOW_ERROR;
}

enum { MAX_TUPLE = 36 };

/* The flow key: source, destination, ports in network order; returns its length in bytes. */
static inline int four_tuple_key(const struct flow *flow, uint8_t key[MAX_TUPLE]) {
  int size = flow->version == 4 ? 4 : 16;
  memcpy(key, flow->data + flow->source_offset, size);
  memcpy(key + size, flow->data + flow->destination_offset, size);
  put16(key + 2 * size, flow->source_port);
  put16(key + 2 * size + 2, flow->destination_port);
  return 2 * size + 4;
}

#endif
