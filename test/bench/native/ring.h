/*
 * Reads and writes of a TUN in batches, through an io_uring: the twin of src/io/ring.ts.
 */
#ifndef RING_H
#define RING_H
#include <linux/io_uring.h>
#include <stdint.h>

enum { RING_CAPACITY = 64 };

struct ring {
  int fd;
  uint32_t tail;
  uint32_t head;
  uint32_t count;
  struct io_uring_sqe *requests;
  uint8_t *memory;
  struct io_uring_params params;
  int32_t results[RING_CAPACITY];
};

/* 0, or the error number. */
int ring_open(struct ring *ring);
void ring_close(struct ring *ring);
void ring_prepare(struct ring *ring, int operation, int fd, void *address, uint32_t length);
/* Makes the calls that were prepared; `results` has what each returned. */
void ring_submit(struct ring *ring);

#endif
