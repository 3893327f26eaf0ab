/*
 * Socket lookup: the interface of src/path/sockets.ts as function pointers, and behind it the fixed set of connected
 * sockets that test/bench/socket-set.ts is.
 */
#ifndef TWIN_SOCKETS_H
#define TWIN_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

enum socket_state { SOCKET_NONE, SOCKET_ESTABLISHED, SOCKET_LISTENING, SOCKET_FAILED };

/* Local address 16, remote address 16, local port 2, remote port 2; network order, short addresses padded by zeros. */
enum { TUPLE_SIZE = 36 };

struct socket_query {
  uint8_t tuple[TUPLE_SIZE];
  uint8_t version;
  uint8_t protocol;
};

struct socket_lookup {
  /* Answers `count` queries. */
  void (*resolve)(const struct socket_lookup *lookup, const struct socket_query *queries, int count,
                  enum socket_state *state);
  /* The query is the tuple of a SYN that is about to be delivered here. */
  void (*syn_accepted)(const struct socket_lookup *lookup, const struct socket_query *query, uint32_t sequence);
};

/* One cache line. An entry of version 0 is free. */
struct socket_entry {
  struct socket_query query;
  uint8_t unused[64 - sizeof(struct socket_query)];
};

struct socket_set {
  struct socket_lookup lookup;
  uint32_t mask;
  struct socket_entry *entries;
};

/* Room for `count` sockets at a load of at most one half. */
void sockets_init(struct socket_set *set, int count);
void sockets_add(struct socket_set *set, const struct socket_query *query);
void sockets_free(struct socket_set *set);

#endif
