/* Reads the blob: little-endian words; an array is its number of elements and then the elements, padded to a word. */
#include "path.h"

#include <string.h>

enum { BLOB_MAGIC = 0x32687774 };

struct reader {
  const uint32_t *at;
  const uint32_t *end;
  bool failed;
};

static uint32_t read_word(struct reader *reader) {
  if (reader->at == reader->end) {
    reader->failed = true;
    return 0;
  }
  return *reader->at++;
}

static const void *read_array(struct reader *reader, int element_size, uint32_t *count) {
  *count = read_word(reader);
  uint64_t words = ((uint64_t)*count * element_size + 3) / 4;
  const uint32_t *start = reader->at;
  if (words > (uint64_t)(reader->end - reader->at)) {
    reader->failed = true;
    *count = 0;
    return start;
  }
  reader->at += words;
  return start;
}

static void read_family(struct reader *reader, struct vip_family *family) {
  uint32_t count;
  family->low = read_word(reader);
  family->span = read_word(reader);
  family->shift = read_word(reader);
  family->starts = read_array(reader, 4, &count);
  family->services = read_array(reader, 4, &count);
  family->cells = read_array(reader, 4, &count);
}

static void read_vips(struct reader *reader, struct vips *vips) {
  uint32_t count;
  read_family(reader, &vips->ipv4);
  read_family(reader, &vips->ipv6);
  for (int i = 0; i < 3; i++) vips->stem[i] = read_word(reader);
  for (int i = 0; i < 3; i++) vips->stem_mask[i] = read_word(reader);
  vips->stem_length = read_word(reader);
  vips->first_segment = read_array(reader, 4, &count);
  vips->segment_start = read_array(reader, 2, &count);
  vips->segment_trafficset = read_array(reader, 4, &count);
  vips->any_port = read_array(reader, 4, &count);
}

static void read_trafficset(struct reader *reader, struct trafficset *trafficset) {
  uint32_t count;
  trafficset->two_slots = read_word(reader);
  trafficset->key[0] = read_word(reader);
  trafficset->key[1] = read_word(reader);
  trafficset->mask = read_word(reader);
  trafficset->slots = read_array(reader, 4, &count);
  if (count != 0 && count != 2 * (trafficset->mask + 1)) reader->failed = true;
  if (count == 0) trafficset->slots = NULL;
}

static void read_sockets(struct reader *reader, struct socket_set *sockets) {
  enum { WORDS = TUPLE_SIZE / 4 };
  uint32_t words;
  const uint32_t *at = read_array(reader, 4, &words);
  uint32_t count = words / (WORDS + 1);
  sockets_init(sockets, count);
  for (uint32_t i = 0; i < count; i++, at += WORDS + 1) {
    struct socket_query entry = {.version = at[WORDS] >> 8 & 0xff, .protocol = at[WORDS] & 0xff};
    memcpy(entry.tuple, at, TUPLE_SIZE);
    sockets_add(sockets, &entry);
  }
}

bool state_load(struct state *state, const uint32_t *blob, int words) {
  struct reader reader = {blob, blob + words, false};
  uint32_t count;
  if (read_word(&reader) != BLOB_MAGIC) return false;
  state->dip = read_word(&reader);
  state->port = read_word(&reader);
  state->underlay_mtu = read_word(&reader);
  state->prefixes = read_array(&reader, 4, &count);
  state->prefix_count = count / 2;
  read_vips(&reader, &state->vips);
  state->trafficset_count = read_word(&reader);
  if (state->trafficset_count > MAX_TRAFFICSETS) return false;
  for (int i = 0; i < state->trafficset_count; i++) read_trafficset(&reader, &state->trafficsets[i]);
  read_sockets(&reader, &state->sockets);
  return !reader.failed && reader.at == reader.end;
}

void state_free(struct state *state) { sockets_free(&state->sockets); }
