/*
 * Finds the trafficset of a destination: the twin of src/table/vip-matcher.ts over the same arrays (sorted disjoint
 * intervals, a cell table that leads to about one of them, binary search, then the segment of the port).
 */
#ifndef TWIN_VIPS_H
#define TWIN_VIPS_H

#include <stdint.h>

#include "bytes.h"
#include "ip.h"

enum { NOT_VIP = -1, NO_SERVICE = -2 };

struct vip_family {
  uint32_t low;
  uint32_t span;
  int shift;
  const uint32_t *starts;
  const int32_t *services;
  const int32_t *cells;
};

struct vips {
  struct vip_family ipv4;
  struct vip_family ipv6;
  uint32_t stem[3];
  uint32_t stem_mask[3];
  int stem_length;
  const int32_t *first_segment;
  const uint16_t *segment_start;
  const int32_t *segment_trafficset;
  const int32_t *any_port;
};

static inline int vips_pick(const struct vips *vips, int service, int protocol, int port) {
  if (service == 0) return NOT_VIP;
  int column = 3 * service;
  if (protocol == PROTOCOL_UDP) column++;
  else if (protocol == PROTOCOL_ESP) column += 2;
  else if (protocol != PROTOCOL_TCP) return NO_SERVICE;
  if (port < 0) return vips->any_port[column];
  int low = vips->first_segment[column];
  int high = vips->first_segment[column + 1] - 1;
  while (low < high) {
    int middle = (low + high + 1) >> 1;
    if (vips->segment_start[middle] <= port) low = middle;
    else high = middle - 1;
  }
  return vips->segment_trafficset[low];
}

static inline int vips_match4(const struct vips *vips, uint32_t address, int protocol, int port) {
  const struct vip_family *family = &vips->ipv4;
  uint32_t distance = address - family->low;
  if (distance > family->span) return NOT_VIP;
  uint32_t cell = distance >> family->shift;
  int low = family->cells[cell];
  int high = family->cells[cell + 1];
  while (low < high) {
    int middle = (low + high + 1) >> 1;
    if (family->starts[middle] <= address) low = middle;
    else high = middle - 1;
  }
  return vips_pick(vips, family->services[low], protocol, port);
}

static inline bool starts_by(const uint32_t *start, const uint32_t address[4]) {
  if (start[0] != address[0]) return start[0] < address[0];
  if (start[1] != address[1]) return start[1] < address[1];
  if (start[2] != address[2]) return start[2] < address[2];
  return start[3] <= address[3];
}

/* `at`: 16 bytes in network order. */
static inline int vips_match6(const struct vips *vips, const uint8_t *at, int protocol, int port) {
  const struct vip_family *family = &vips->ipv6;
  uint32_t address[4] = {get32(at), get32(at + 4), get32(at + 8), get32(at + 12)};
  for (int i = 0; i < 3; i++) {
    if ((address[i] & vips->stem_mask[i]) != vips->stem[i]) return NOT_VIP;
  }
  int word = vips->stem_length >> 5;
  uint64_t both = (uint64_t)address[word] << 32 | (word < 3 ? address[word + 1] : 0);
  uint32_t window = (both << (vips->stem_length & 31)) >> 32;
  uint32_t distance = window - family->low;
  if (distance > family->span) return NOT_VIP;
  uint32_t cell = distance >> family->shift;
  int low = family->cells[cell];
  int high = family->cells[cell + 1];
  while (low < high) {
    int middle = (low + high + 1) >> 1;
    if (starts_by(family->starts + 4 * middle, address)) low = middle;
    else high = middle - 1;
  }
  return vips_pick(vips, family->services[low], protocol, port);
}

#endif
