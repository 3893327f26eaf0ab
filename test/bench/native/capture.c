/*
 * Capture files, read and written by plain loops over a large buffer: the twin of src/io/capture. Little-endian files
 * with nanoseconds only, of one interface, on a little-endian machine.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"

enum {
  BUFFER_SIZE = 1 << 20,
  PCAP_HEADER = 24,
  PCAP_RECORD = 16,
  BLOCK_SECTION = 0x0a0d0d0a,
  BLOCK_INTERFACE = 1,
  BLOCK_PACKET = 6,
  PACKET_HEADER = 28,
  PACKET_FRAME = 32,
  ETHERNET_HEADER = 14,
};

static uint8_t buffer[BUFFER_SIZE];

static uint32_t word(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return value;
}

static void put_word(uint8_t *at, uint32_t value) {
  memcpy(at, &value, 4);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* A packet as the reader gives it. */
struct packet {
  const uint8_t *bytes;
  uint32_t captured;
  uint32_t original;
  uint32_t seconds;
  uint32_t nanoseconds;
};

/*
 * What is done with a packet: its lengths, its time and the first word of its IP header are added up. All of it, for
 * what nobody looks at the compiler leaves out.
 */
static uint32_t touch(const struct packet *packet) {
  return packet->captured + packet->original + packet->seconds + packet->nanoseconds +
         get32(packet->bytes + ETHERNET_HEADER);
}

/* Takes whole records from [at, end); what is left of the last one stays. */
static const uint8_t *take_pcap(const uint8_t *at, const uint8_t *end, uint32_t *sum) {
  struct packet packet;
  while (end - at >= PCAP_RECORD) {
    packet.captured = word(at + 8);
    if (packet.captured > (size_t)(end - at) - PCAP_RECORD) break;
    packet.seconds = word(at);
    packet.nanoseconds = word(at + 4);
    packet.original = word(at + 12);
    packet.bytes = at + PCAP_RECORD;
    *sum += touch(&packet);
    at += PCAP_RECORD + packet.captured;
  }
  return at;
}

static const uint8_t *take_pcapng(const uint8_t *at, const uint8_t *end, uint32_t *sum) {
  struct packet packet;
  while (end - at >= 12) {
    uint32_t length = word(at + 4);
    if (length > (size_t)(end - at) || (length & 3) != 0 || word(at + length - 4) != length) break;
    if (word(at) == BLOCK_PACKET) {
      packet.captured = word(at + 20);
      if (packet.captured > length - PACKET_FRAME || word(at + 8) != 0) break;
      uint64_t time = (uint64_t)word(at + 12) << 32 | word(at + 16);
      packet.seconds = (uint32_t)(time / 1000000000);
      packet.nanoseconds = (uint32_t)(time % 1000000000);
      packet.original = word(at + 24);
      packet.bytes = at + PACKET_HEADER;
      *sum += touch(&packet);
    }
    at += length;
  }
  return at;
}

/* Nanoseconds for the whole file; negative when it cannot be read. */
double capture_read(const char *path, int32_t *result) {
  double start = now();
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  uint32_t sum = 0;
  size_t here = 0;
  int pcapng = -1;
  ssize_t got;
  while ((got = read(fd, buffer + here, BUFFER_SIZE - here)) > 0) {
    const uint8_t *end = buffer + here + got;
    const uint8_t *at = buffer;
    if (pcapng < 0) {
      pcapng = word(at) == BLOCK_SECTION;
      if (!pcapng) at += PCAP_HEADER;
    }
    at = pcapng ? take_pcapng(at, end, &sum) : take_pcap(at, end, &sum);
    here = (size_t)(end - at);
    memmove(buffer, at, here);
  }
  close(fd);
  *result = (int32_t)sum;
  return got < 0 ? -1 : now() - start;
}

static void flush(int fd, size_t *at, int *failed) {
  for (size_t from = 0; from < *at;) {
    ssize_t written = write(fd, buffer + from, *at - from);
    if (written < 0) {
      *failed = 1;
      break;
    }
    from += (size_t)written;
  }
  *at = 0;
}

static size_t put_heads(void) {
  put_word(buffer, BLOCK_SECTION);
  put_word(buffer + 4, 28);
  put_word(buffer + 8, 0x1a2b3c4d);
  put_word(buffer + 12, 1);
  memset(buffer + 16, 0xff, 8);
  put_word(buffer + 24, 28);
  uint8_t *interface = buffer + 28;
  put_word(interface, BLOCK_INTERFACE);
  put_word(interface + 4, 32);
  put_word(interface + 8, 1);
  put_word(interface + 12, 0);
  put_word(interface + 16, 1 << 16 | 9);
  put_word(interface + 20, 9);
  put_word(interface + 24, 0);
  put_word(interface + 28, 32);
  return 60;
}

/*
 * Writes `count` packets, taken in turn from `frames`, each `length` bytes and `stride` from the one before, as
 * pcapng, and renames the file to its place. Nanoseconds; negative when it cannot be written.
 */
double capture_write(const char *path, const uint8_t *frames, int stride, int frame_count, int length, int count) {
  double start = now();
  char temporary[4096];
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return -1;
  int failed = 0;
  size_t at = put_heads();
  size_t padded = ((size_t)length + 3) & ~(size_t)3;
  uint32_t block = (uint32_t)(PACKET_FRAME + padded);
  for (int i = 0; i < count; i++) {
    if (at + block > BUFFER_SIZE) flush(fd, &at, &failed);
    uint8_t *out = buffer + at;
    uint64_t time = (uint64_t)1700000000 * 1000000000 + (uint64_t)i * 1000;
    put_word(out, BLOCK_PACKET);
    put_word(out + 4, block);
    put_word(out + 8, 0);
    put_word(out + 12, (uint32_t)(time >> 32));
    put_word(out + 16, (uint32_t)time);
    put_word(out + 20, (uint32_t)length);
    put_word(out + 24, (uint32_t)length);
    memcpy(out + PACKET_HEADER, frames + (size_t)(i % frame_count) * (size_t)stride, (size_t)length);
    memset(out + PACKET_HEADER + length, 0, padded - (size_t)length);
    put_word(out + block - 4, block);
    at += block;
  }
  flush(fd, &at, &failed);
  close(fd);
  if (rename(temporary, path) != 0) failed = 1;
  return failed ? -1 : now() - start;
}
