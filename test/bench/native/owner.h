/* The redirector's decision, shared by both stages: the twin of src/path/owner.ts. */
#ifndef TWIN_OWNER_H
#define TWIN_OWNER_H

#include "flow.h"
#include "path.h"

/* Questions of one batch, answered together. */
struct owner {
  int count;
  struct socket_query queries[BATCH_CAPACITY];
  enum socket_state state[BATCH_CAPACITY];
  bool quoted[BATCH_CAPACITY];
  uint32_t sequence[BATCH_CAPACITY];
  uint8_t tcp_flags[BATCH_CAPACITY];
  int slot[BATCH_CAPACITY];
  struct socket_query syn;
};

static inline void write_query(struct socket_query *query, const struct flow *flow) {
  int size = flow->version == 4 ? 4 : 16;
  memset(query->tuple, 0, 32);
  memcpy(query->tuple, flow->data + flow->destination_offset, size);
  memcpy(query->tuple + 16, flow->data + flow->source_offset, size);
  put16(query->tuple + 32, flow->destination_port);
  put16(query->tuple + 34, flow->source_port);
  query->version = flow->version;
  query->protocol = flow->protocol;
}

/* A verdict, or UNDECIDED after noting the question for `slot`. `next_hop`: where to go from here, 0 when nowhere. */
static inline enum verdict owner_decide(struct owner *owner, const struct flow *flow,
                                        const struct trafficset *trafficset, const struct socket_lookup *sockets,
                                        uint32_t next_hop, uint32_t self, int slot, bool forward_syn) {
  bool goes_on = next_hop != 0 && next_hop != self && trafficset->two_slots;
  if (flow->protocol == PROTOCOL_TCP && (flow->tcp_flags & FLAG_SYN) != 0) {
    if (goes_on && forward_syn) return REDIRECT;
    write_query(&owner->syn, flow);
    sockets->syn_accepted(sockets, &owner->syn, flow->sequence);
    return ACCEPT_SYN;
  }
  if (!goes_on) {
    if (flow->quoted) return ACCEPT_ICMP_ERROR;
    return next_hop == self ? ACCEPT_SELF : ACCEPT_LAST_HOP;
  }

  int index = owner->count++;
  write_query(&owner->queries[index], flow);
  owner->sequence[index] = flow->sequence;
  owner->tcp_flags[index] = flow->tcp_flags;
  owner->quoted[index] = flow->quoted;
  owner->slot[index] = slot;
  return UNDECIDED;
}

static inline void owner_resolve(struct owner *owner, const struct socket_lookup *sockets) {
  if (owner->count > 0) sockets->resolve(sockets, owner->queries, owner->count, owner->state);
}

static inline enum verdict owner_verdict(const struct owner *owner, int index) {
  switch (owner->state[index]) {
    case SOCKET_ESTABLISHED:
      return owner->quoted[index] ? ACCEPT_ICMP_ERROR : ACCEPT_ESTABLISHED;
    case SOCKET_FAILED:
      return DROP_LOOKUP_FAILED;
    default:
      /* The set has no listeners, so no ACK completes a handshake by a cookie. */
      return REDIRECT;
  }
}

#endif
