/*
 * The data plane's loop over real ports: the twin of src/node/data-plane-loop.ts with src/io/tun.ts, udp.ts and
 * raw.ts. It makes the same system calls in the same order, on the descriptors that the TypeScript opened.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "path.h"
#include "ring.h"

enum { POLL_MS = 100, ROUNDS_PER_WAIT = 16, OUTER_SIZE = 28, SEND_BUFFER = 8 << 20 };

struct vector {
  struct mmsghdr messages[BATCH_CAPACITY];
  struct iovec vectors[BATCH_CAPACITY];
  struct sockaddr_in names[BATCH_CAPACITY];
};

struct ports {
  int tun;
  int gue;
  int raw;
  int wake;
};

struct loop {
  const struct state *state;
  struct ports ports;
  struct counters counters;
  struct batch batch;
  struct vector receive;
  struct vector send;
  int max_packet;
  /* NULL: one system call for each packet of the TUN. */
  struct ring *ring;
  int read_ahead;
  double delivered;
  double sent;
};

static void vector_init(struct vector *vector) {
  for (int i = 0; i < BATCH_CAPACITY; i++) {
    struct msghdr *header = &vector->messages[i].msg_hdr;
    header->msg_name = &vector->names[i];
    header->msg_namelen = sizeof vector->names[i];
    header->msg_iov = &vector->vectors[i];
    header->msg_iovlen = 1;
  }
}

static void appended(struct batch *batch, int offset, int length) {
  int index = batch->count++;
  batch->offset[index] = offset;
  batch->length[index] = length;
  batch->verdict[index] = 0;
  batch->action[index] = 0;
  batch->next_hop[index] = 0;
}

static void receive_tun(struct loop *loop) {
  struct batch *batch = &loop->batch;
  while (batch->count < BATCH_CAPACITY) {
    int offset = batch->count * batch->slot_size + HEADROOM;
    ssize_t length = read(loop->ports.tun, batch->bytes + offset, loop->max_packet);
    if (length <= 0) {
      if (length < 0 && errno == EINTR) continue;
      break;
    }
    appended(batch, offset, length);
  }
}

/* As src/io/ring-tun.ts and read-ahead.ts. */
static void receive_tun_batched(struct loop *loop) {
  struct batch *batch = &loop->batch;
  struct ring *ring = loop->ring;
  while (batch->count < BATCH_CAPACITY) {
    int from = batch->count;
    int free = BATCH_CAPACITY - from;
    int asked = free < loop->read_ahead ? free : loop->read_ahead;
    for (int i = 0; i < asked; i++) {
      ring_prepare(ring, IORING_OP_READ, loop->ports.tun, batch->bytes + (from + i) * batch->slot_size + HEADROOM,
                   loop->max_packet);
    }
    ring_submit(ring);
    for (int i = 0; i < asked; i++) {
      if (ring->results[i] <= 0) continue;
      int offset = batch->count * batch->slot_size + HEADROOM;
      int at = (from + i) * batch->slot_size + HEADROOM;
      if (at != offset) memmove(batch->bytes + offset, batch->bytes + at, ring->results[i]);
      appended(batch, offset, ring->results[i]);
    }
    int came = batch->count - from;
    int wanted = came == asked ? 2 * loop->read_ahead : came + 1 > asked >> 1 ? came + 1 : asked >> 1;
    loop->read_ahead = wanted < 2 ? 2 : wanted > RING_CAPACITY ? RING_CAPACITY : wanted;
    if (came < asked) break;
  }
}

static void send_tun_batched(struct loop *loop) {
  struct batch *batch = &loop->batch;
  struct ring *ring = loop->ring;
  int slots[BATCH_CAPACITY];
  int queued = 0;
  for (int i = 0; i < batch->count; i++) {
    if (batch->action[i] != ACTION_DELIVER) continue;
    slots[queued++] = i;
    ring_prepare(ring, IORING_OP_WRITE, loop->ports.tun, batch->bytes + batch->offset[i], batch->length[i]);
  }
  ring_submit(ring);
  for (int k = 0; k < queued; k++) {
    if (ring->results[k] == batch->length[slots[k]]) loop->delivered++;
  }
}

/* The outer headers that the kernel kept, written anew. */
static void write_outer(uint8_t *at, int length, const struct sockaddr_in *from, const struct state *state) {
  uint32_t source = ntohl(from->sin_addr.s_addr);
  uint32_t destination = state->dip;
  uint32_t sum = 0x4500 + 0x4000 + 0x4011 + length;
  sum += (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  put32(at, 0x45000000u | length);
  put32(at + 4, 0x00004000);
  put32(at + 8, 0x40110000u | (~sum & 0xffff));
  put32(at + 12, source);
  put32(at + 16, destination);
  put32(at + 20, (uint32_t)ntohs(from->sin_port) << 16 | state->port);
  put32(at + 24, (uint32_t)(length - 20) << 16);
}

static void receive_gue(struct loop *loop) {
  struct batch *batch = &loop->batch;
  struct vector *vector = &loop->receive;
  for (;;) {
    int from = batch->count;
    int free = BATCH_CAPACITY - from;
    if (free == 0) break;
    for (int i = 0; i < free; i++) {
      vector->vectors[i].iov_base = batch->bytes + (from + i) * batch->slot_size + HEADROOM;
      vector->vectors[i].iov_len = loop->max_packet;
      vector->messages[i].msg_hdr.msg_namelen = sizeof vector->names[i];
      vector->messages[i].msg_hdr.msg_controllen = 0;
    }
    int count = recvmmsg(loop->ports.gue, vector->messages, free, MSG_DONTWAIT, NULL);
    if (count < 0) {
      if (errno == EINTR) continue;
      break;
    }
    for (int i = 0; i < count; i++) {
      int offset = (from + i) * batch->slot_size + HEADROOM - OUTER_SIZE;
      int length = OUTER_SIZE + vector->messages[i].msg_len;
      write_outer(batch->bytes + offset, length, &vector->names[i], loop->state);
      appended(batch, offset, length);
    }
    if (count < free) break;
  }
}

static void send_tun(struct loop *loop) {
  struct batch *batch = &loop->batch;
  for (int i = 0; i < batch->count; i++) {
    if (batch->action[i] != ACTION_DELIVER) continue;
    ssize_t length = batch->length[i];
    if (write(loop->ports.tun, batch->bytes + batch->offset[i], length) == length) loop->delivered++;
  }
}

static void send_raw(struct loop *loop) {
  struct batch *batch = &loop->batch;
  struct vector *vector = &loop->send;
  int queued = 0;
  for (int i = 0; i < batch->count; i++) {
    if (batch->action[i] != ACTION_SEND) continue;
    vector->vectors[queued].iov_base = batch->bytes + batch->offset[i];
    vector->vectors[queued].iov_len = batch->length[i];
    vector->names[queued] =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(batch->next_hop[i])}};
    queued++;
  }
  for (int next = 0; next < queued;) {
    int done = sendmmsg(loop->ports.raw, vector->messages + next, queued - next, 0);
    if (done > 0) {
      next += done;
      loop->sent += done;
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      next++;
    }
  }
}

static int step(struct loop *loop, enum stage stage) {
  struct batch *batch = &loop->batch;
  batch->count = 0;
  if (stage == STAGE_FORWARD && loop->ring != NULL) receive_tun_batched(loop);
  else if (stage == STAGE_FORWARD) receive_tun(loop);
  else receive_gue(loop);
  if (batch->count == 0) return 0;
  if (stage == STAGE_FORWARD) forwarder_process(loop->state, &loop->counters, batch);
  else redirector_process(loop->state, &loop->counters, batch);
  if (loop->ring != NULL) send_tun_batched(loop);
  else send_tun(loop);
  send_raw(loop);
  return batch->count;
}

/* As src/node/reading.ts. */
static void drain(struct loop *loop, const struct pollfd *fds) {
  int tun = fds[0].revents != 0;
  int gue = fds[1].revents != 0;
  for (int round = 0; round < ROUNDS_PER_WAIT; round++) {
    int from_tun = tun ? step(loop, STAGE_FORWARD) : 0;
    int from_gue = gue ? step(loop, STAGE_REDIRECT) : 0;
    if (from_tun < BATCH_CAPACITY && from_gue < BATCH_CAPACITY) break;
    tun = gue = 1;
  }
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

static int open_raw(uint32_t dip) {
  int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
  int size = SEND_BUFFER;
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(dip)}};
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) < 0) return -1;
  return fd;
}

/*
 * Moves packets for `duration` seconds, or with 0 until nothing waits any more. `out` receives when it began and when
 * it ended, in seconds of the monotonic clock, the packets sent to the underlay and those delivered to the TUN.
 * Returns 0, or the error number when the raw socket cannot be opened.
 */
static int run(const struct state *state, int tun, int gue, int wake, int slot_size, int max_packet, double duration,
               double out[4], struct ring *ring) {
  int raw = open_raw(state->dip);
  if (raw < 0) return errno;
  struct loop *loop = calloc(1, sizeof *loop);
  loop->state = state;
  loop->ports = (struct ports){.tun = tun, .gue = gue, .raw = raw, .wake = wake};
  loop->max_packet = max_packet;
  loop->ring = ring;
  loop->read_ahead = 2;
  loop->batch.slot_size = slot_size;
  loop->batch.bytes = calloc(BATCH_CAPACITY, slot_size);
  vector_init(&loop->receive);
  vector_init(&loop->send);
  struct pollfd fds[] = {{.fd = tun, .events = POLLIN}, {.fd = gue, .events = POLLIN}, {.fd = wake, .events = POLLIN}};

  double start = seconds();
  double now = start;
  if (duration > 0) {
    while (now - start < duration) {
      poll(fds, 3, POLL_MS);
      drain(loop, fds);
      now = seconds();
    }
  } else {
    while (poll(fds, 3, 0) > 0) {
      drain(loop, fds);
      now = seconds();
    }
  }
  out[0] = start;
  out[1] = now;
  out[2] = loop->sent;
  out[3] = loop->delivered;
  free(loop->batch.bytes);
  free(loop);
  close(raw);
  return 0;
}

/* Processor time of the calling thread. */
double twin_thread_seconds(void) {
  struct timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec + used.tv_nsec * 1e-9;
}

int twin_loop(const struct state *state, int tun, int gue, int wake, int slot_size, int max_packet, double duration,
              double out[4]) {
  return run(state, tun, gue, wake, slot_size, max_packet, duration, out, NULL);
}

/* The same, with the TUN's packets in batches through an io_uring. */
int twin_loop_batched(const struct state *state, int tun, int gue, int wake, int slot_size, int max_packet,
                      double duration, double out[4]) {
  struct ring ring;
  int failed = ring_open(&ring);
  if (failed != 0) return failed;
  failed = run(state, tun, gue, wake, slot_size, max_packet, duration, out, &ring);
  ring_close(&ring);
  return failed;
}
