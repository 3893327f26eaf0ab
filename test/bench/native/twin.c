/*
 * What the benchmarks call: a twin holds the state and prepared batches, processes them, and tells what came of them.
 * Packets are put back as they came before each pass; only the processing is timed.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "path.h"

/* The path writes in front of a packet, and into the outer headers of one that it redirects; nothing further. */
enum { CHANGED_BYTES = 64 };

struct twin {
  struct state state;
  struct counters counters;
  struct batch *batches;
  /* The packets as they came, in slots like those of the batches. */
  struct batch *pristine;
  int batch_count;
  int slot_size;
  bool redirect;
};

static void free_batches(struct batch *batches, int count) {
  for (int i = 0; i < count; i++) free(batches[i].bytes);
  free(batches);
}

static struct batch *new_batches(int count, int slot_size) {
  struct batch *batches = calloc(count, sizeof *batches);
  for (int i = 0; i < count; i++) {
    batches[i].slot_size = slot_size;
    batches[i].bytes = calloc(BATCH_CAPACITY, slot_size);
  }
  return batches;
}

/* `blob` must outlive the twin. NULL when it is not a blob. */
struct twin *twin_new(const uint32_t *blob, int words) {
  struct twin *twin = calloc(1, sizeof *twin);
  if (state_load(&twin->state, blob, words)) return twin;
  free(twin);
  return NULL;
}

const struct state *twin_state(const struct twin *twin) { return &twin->state; }

void twin_free(struct twin *twin) {
  state_free(&twin->state);
  free_batches(twin->batches, twin->batch_count);
  free_batches(twin->pristine, twin->batch_count);
  free(twin);
}

/* Takes packets, laid end to end, into batches; slots must hold the largest of them behind the headroom. */
void twin_fill(struct twin *twin, const uint8_t *packets, const int32_t *lengths, int count, int slot_size,
               bool redirect) {
  free_batches(twin->batches, twin->batch_count);
  free_batches(twin->pristine, twin->batch_count);
  twin->batch_count = (count + BATCH_CAPACITY - 1) / BATCH_CAPACITY;
  twin->slot_size = slot_size;
  twin->redirect = redirect;
  twin->batches = new_batches(twin->batch_count, slot_size);
  twin->pristine = new_batches(twin->batch_count, slot_size);
  for (int i = 0; i < count; i++) {
    struct batch *batch = &twin->pristine[i / BATCH_CAPACITY];
    int offset = batch->count * slot_size + HEADROOM;
    memcpy(batch->bytes + offset, packets, lengths[i]);
    memcpy(twin->batches[i / BATCH_CAPACITY].bytes + offset, packets, lengths[i]);
    batch->offset[batch->count] = offset;
    batch->length[batch->count++] = lengths[i];
    packets += lengths[i];
  }
}

static void restore(struct twin *twin) {
  for (int i = 0; i < twin->batch_count; i++) {
    struct batch *batch = &twin->batches[i];
    uint8_t *bytes = batch->bytes;
    *batch = twin->pristine[i];
    batch->bytes = bytes;
    for (int slot = 0; slot < batch->count; slot++) {
      int offset = batch->offset[slot];
      int length = batch->length[slot] < CHANGED_BYTES ? batch->length[slot] : CHANGED_BYTES;
      memcpy(bytes + offset, twin->pristine[i].bytes + offset, length);
    }
  }
}

static void process(struct twin *twin) {
  for (int i = 0; i < twin->batch_count; i++) {
    if (twin->redirect) redirector_process(&twin->state, &twin->counters, &twin->batches[i]);
    else forwarder_process(&twin->state, &twin->counters, &twin->batches[i]);
  }
}

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

/* Processes everything `passes` times and returns the nanoseconds that the processing took. */
double twin_round(struct twin *twin, int passes) {
  double total = 0;
  for (int pass = 0; pass < passes; pass++) {
    restore(twin);
    double start = nanoseconds();
    process(twin);
    total += nanoseconds() - start;
  }
  return total;
}

/* Many flows without their packets in memory: flows.ts has the same. */
struct flows {
  const uint8_t *model;
  /* Flows: further numbers begin again. */
  uint32_t count;
  int32_t length;
  int32_t source_at;
  int32_t destination_at;
  int32_t ports_at;
  /* Of a destination: 1 or 4. */
  int32_t words;
  /* In network order. */
  const uint32_t *destinations;
  uint32_t destination_count;
};

static uint32_t mix(uint32_t x) {
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

static void write_flow(const struct flows *flows, uint32_t number, uint8_t *at) {
  uint32_t flow = number % flows->count;
  uint32_t source = mix(2 * flow + 1);
  uint32_t other = mix(2 * flow + 2);
  memcpy(at, flows->model, flows->length);
  memcpy(at + flows->source_at, &source, 4);
  memcpy(at + flows->ports_at, &other, 2);
  memcpy(at + flows->destination_at, flows->destinations + (size_t)(other % flows->destination_count) * flows->words,
         flows->words * 4);
}

/*
 * Processes one packet each of flows `first` to `first + count - 1`: each batch is written into slots first, as a
 * system call would, and only the processing is timed. `twin_fill` has made the slots. Returns nanoseconds.
 */
double twin_stream(struct twin *twin, const struct flows *flows, uint32_t first, int count) {
  struct batch *batch = &twin->batches[0];
  double total = 0;
  for (int done = 0; done < count; done += BATCH_CAPACITY) {
    batch->count = 0;
    for (; batch->count < BATCH_CAPACITY && done + batch->count < count; batch->count++) {
      int offset = batch->count * twin->slot_size + HEADROOM;
      write_flow(flows, first + done + batch->count, batch->bytes + offset);
      batch->offset[batch->count] = offset;
      batch->length[batch->count] = flows->length;
      batch->next_hop[batch->count] = 0;
    }
    double start = nanoseconds();
    if (twin->redirect) redirector_process(&twin->state, &twin->counters, batch);
    else forwarder_process(&twin->state, &twin->counters, batch);
    total += nanoseconds() - start;
  }
  return total;
}

/* One packet after `twin_round`: copies its bytes out and returns its length. */
int twin_packet(const struct twin *twin, int index, uint8_t *out, int32_t *verdict, int32_t *trafficset,
                uint32_t *next_hop) {
  const struct batch *batch = &twin->batches[index / BATCH_CAPACITY];
  int slot = index % BATCH_CAPACITY;
  memcpy(out, batch->bytes + batch->offset[slot], batch->length[slot]);
  *verdict = batch->verdict[slot] << 8 | batch->action[slot];
  *trafficset = batch->trafficset[slot];
  *next_hop = batch->next_hop[slot];
  return batch->length[slot];
}

/* Packets counted in one cell since the twin was made; `bytes` asks for bytes instead. */
double twin_counted(const struct twin *twin, int stage, int trafficset, int verdict, bool bytes) {
  const struct counters *counters = &twin->counters;
  return bytes ? counters->bytes[stage][trafficset + 1][verdict] : counters->packets[stage][trafficset + 1][verdict];
}
