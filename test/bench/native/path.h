/*
 * The native twin of src/path: the same packet path in C, the yardstick of the benchmarks.
 *
 * It keeps the structure of the TypeScript (batch, state, classifier, owner, forwarder, redirector) so that both can
 * be read side by side, and does the same work for every packet. It is compiled for each run and never shipped.
 */
#ifndef TWIN_PATH_H
#define TWIN_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "sockets.h"
#include "vips.h"

/* As in src/path/batch.ts. */
enum { HEADROOM = 64, BATCH_CAPACITY = 64 };

struct batch {
  int slot_size;
  int count;
  uint8_t *bytes;
  int32_t offset[BATCH_CAPACITY];
  int32_t length[BATCH_CAPACITY];
  uint8_t verdict[BATCH_CAPACITY];
  uint8_t action[BATCH_CAPACITY];
  uint32_t next_hop[BATCH_CAPACITY];
  int16_t trafficset[BATCH_CAPACITY];
  uint32_t flow_hash[BATCH_CAPACITY];
};

/* The codes of src/path/verdict.ts, in its order: the twin check compares them. */
enum verdict {
  UNDECIDED,
  PASS_NOT_VIP,
  PASS_NO_SERVICE,
  PASS_ICMP,
  FORWARD,
  FORWARD_ICMP_ERROR,
  FORWARD_NAMED,
  FORWARD_ICMP_EVERYWHERE,
  ACCEPT_SYN,
  ACCEPT_ESTABLISHED,
  ACCEPT_SYN_COOKIE,
  ACCEPT_LAST_HOP,
  ACCEPT_SELF,
  ACCEPT_SESSION,
  ACCEPT_NAMED,
  ACCEPT_ICMP_ERROR,
  ACCEPT_ICMP,
  REDIRECT,
  DROP_MALFORMED_IP,
  DROP_MALFORMED_TRANSPORT,
  DROP_MALFORMED_ICMP,
  DROP_FRAGMENT,
  DROP_FRAGMENT_UNKNOWN,
  DROP_ICMP_MISMATCH,
  DROP_ICMP_LIMIT,
  DROP_NO_TABLE,
  DROP_EMPTY_BUCKET,
  DROP_TOO_BIG,
  DROP_DISSECTOR,
  DROP_MALFORMED_GUE,
  DROP_HOP_LIST,
  DROP_STRANGER,
  DROP_NOT_OURS,
  DROP_NOT_VIP,
  DROP_LOOKUP_FAILED,
  VERDICT_COUNT
};

enum action { ACTION_DROP, ACTION_DELIVER, ACTION_SEND };

enum { MAX_TRAFFICSETS = 16 };

struct trafficset {
  bool two_slots;
  uint32_t key[2];
  uint32_t mask;
  /* First and second hop of each bucket, alternating. */
  const uint32_t *slots;
};

/* What every packet is judged by: read from the blob that test/bench/blob.ts writes. */
struct state {
  uint32_t dip;
  uint32_t port;
  uint32_t underlay_mtu;
  int prefix_count;
  /* Address and mask, alternating. */
  const uint32_t *prefixes;
  int trafficset_count;
  struct trafficset trafficsets[MAX_TRAFFICSETS];
  struct vips vips;
  struct socket_set sockets;
};

enum stage { STAGE_FORWARD, STAGE_REDIRECT, STAGE_COUNT };

/* Packets and bytes by stage, trafficset (row 0: none) and verdict. */
struct counters {
  uint64_t packets[STAGE_COUNT][MAX_TRAFFICSETS + 1][VERDICT_COUNT];
  uint64_t bytes[STAGE_COUNT][MAX_TRAFFICSETS + 1][VERDICT_COUNT];
};

/* Arrays are not copied: the blob must outlive the state. False when the blob is not one. */
bool state_load(struct state *state, const uint32_t *blob, int words);
void state_free(struct state *state);

/* Sets verdict, action and next hop of every packet, and wraps what is to be sent. */
void forwarder_process(const struct state *state, struct counters *counters, struct batch *batch);
/* The same for GUE packets: unwraps what is to be delivered, rewrites what is to be sent on. */
void redirector_process(const struct state *state, struct counters *counters, struct batch *batch);

#endif
