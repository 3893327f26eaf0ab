#include "sockets.h"

#include <stdlib.h>
#include <string.h>

static uint32_t rotate(uint32_t value, int count) { return value << count | value >> (32 - count); }

static inline uint32_t mix(uint32_t hash, const uint8_t *at) {
  uint32_t word;
  memcpy(&word, at, 4);
  return rotate(hash ^ rotate(word * 0xcc9e2d51u, 15) * 0x1b873593u, 13) * 5 + 0xe6546b64u;
}

/* The rounds of MurmurHash3, as in src/io/tuple.ts. */
static inline uint32_t hash_tuple(const struct socket_query *query, uint32_t seed) {
  const uint8_t *tuple = query->tuple;
  uint32_t hash = mix(seed ^ query->version, tuple);
  hash = mix(hash, tuple + 16);
  hash = mix(hash, tuple + 32);
  /* The other words of an IPv4 tuple are zero. */
  if (query->version != 4) {
    for (int at = 4; at < 16; at += 4) hash = mix(hash, tuple + at);
    for (int at = 20; at < 32; at += 4) hash = mix(hash, tuple + at);
  }
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
  return hash ^ hash >> 16;
}

static inline bool holds(const struct socket_entry *entry, const struct socket_query *query) {
  return entry->query.version == query->version && entry->query.protocol == query->protocol &&
         memcmp(entry->query.tuple, query->tuple, TUPLE_SIZE) == 0;
}

/* Where the socket is, or the free slot where it would be. */
static inline struct socket_entry *find(const struct socket_set *set, const struct socket_query *query) {
  uint32_t slot = hash_tuple(query, query->protocol) & set->mask;
  while (set->entries[slot].query.version != 0 && !holds(&set->entries[slot], query)) slot = (slot + 1) & set->mask;
  return &set->entries[slot];
}

static void resolve(const struct socket_lookup *lookup, const struct socket_query *queries, int count,
                    enum socket_state *state) {
  const struct socket_set *set = (const struct socket_set *)lookup;
  for (int i = 0; i < count; i++) {
    state[i] = find(set, &queries[i])->query.version != 0 ? SOCKET_ESTABLISHED : SOCKET_NONE;
  }
}

/* A fixed set learns nothing. */
static void syn_accepted(const struct socket_lookup *lookup, const struct socket_query *query, uint32_t sequence) {
  (void)lookup;
  (void)query;
  (void)sequence;
}

void sockets_init(struct socket_set *set, int count) {
  uint32_t size = 16;
  while (size < 2 * (uint32_t)count) size *= 2;
  set->lookup = (struct socket_lookup){resolve, syn_accepted};
  set->mask = size - 1;
  set->entries = calloc(size, sizeof *set->entries);
}

void sockets_add(struct socket_set *set, const struct socket_query *query) {
  find(set, query)->query = *query;
}

void sockets_free(struct socket_set *set) { free(set->entries); }
