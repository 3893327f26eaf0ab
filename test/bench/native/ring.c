#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 };
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1U << 14)
#endif

static uint32_t *word(struct ring *ring, uint32_t offset) { return (uint32_t *)(ring->memory + offset); }

int ring_open(struct ring *ring) {
  memset(ring, 0, sizeof *ring);
  /* Pages of their own: the kernel takes leave of a ring after it was closed, and may write until then. */
  ring->requests = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ring->memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ring->params.cq_entries = 2 * RING_CAPACITY;
  ring->params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                       IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_NO_MMAP;
  /* user_addr; older headers call it resv2. */
  memcpy((uint8_t *)&ring->params + 72, &ring->requests, sizeof ring->requests);
  memcpy((uint8_t *)&ring->params + 112, &ring->memory, sizeof ring->memory);
  ring->fd = syscall(SYS_io_uring_setup, RING_CAPACITY, &ring->params);
  if (ring->fd < 0) return errno;
  for (int i = 0; i < RING_CAPACITY; i++) word(ring, ring->params.sq_off.array)[i] = i;
  return 0;
}

void ring_close(struct ring *ring) {
  close(ring->fd);
  munmap(ring->requests, PAGE);
  munmap(ring->memory, PAGE);
}

void ring_prepare(struct ring *ring, int operation, int fd, void *address, uint32_t length) {
  uint32_t index = ring->count++;
  struct io_uring_sqe *request = &ring->requests[(ring->tail + index) % RING_CAPACITY];
  request->opcode = operation;
  request->fd = fd;
  request->addr = (uintptr_t)address;
  request->len = length;
  request->rw_flags = RWF_NOWAIT;
  request->user_data = index;
}

static uint32_t collect(struct ring *ring) {
  const struct io_cqring_offsets *at = &ring->params.cq_off;
  uint32_t first = ring->head;
  uint32_t end = *(volatile uint32_t *)word(ring, at->tail);
  uint32_t mask = *word(ring, at->ring_mask);
  struct io_uring_cqe *answers = (struct io_uring_cqe *)(ring->memory + at->cqes);
  for (; ring->head != end; ring->head++) {
    struct io_uring_cqe *answer = &answers[ring->head & mask];
    ring->results[answer->user_data] = answer->res;
  }
  *(volatile uint32_t *)word(ring, at->head) = ring->head;
  return ring->head - first;
}

static uint32_t enter(struct ring *ring, uint32_t requests, uint32_t answers) {
  long taken = syscall(SYS_io_uring_enter, ring->fd, requests, answers, answers > 0 ? IORING_ENTER_GETEVENTS : 0,
                       NULL, 0);
  if (taken >= 0) return taken;
  if (errno != EINTR && errno != EAGAIN) abort();
  return 0;
}

void ring_submit(struct ring *ring) {
  uint32_t count = ring->count;
  if (count == 0) return;
  ring->count = 0;
  ring->tail += count;
  *(volatile uint32_t *)word(ring, ring->params.sq_off.tail) = ring->tail;
  uint32_t taken = enter(ring, count, 0);
  for (uint32_t answered = collect(ring); answered < count; answered += collect(ring)) {
    taken += enter(ring, count - taken, count - answered);
  }
}
