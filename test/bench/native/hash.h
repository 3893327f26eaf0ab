/* HalfSipHash-2-4 with 32-bit output (the reference implementation's halfsiphash.c): the twin of src/flow/halfsiphash.ts. */
#ifndef TWIN_HASH_H
#define TWIN_HASH_H

#include <stdint.h>
#include <string.h>

static inline uint32_t rotate_left(uint32_t value, int count) { return value << count | value >> (32 - count); }

static inline void half_sip_round(uint32_t v[4]) {
  v[0] += v[1];
  v[1] = rotate_left(v[1], 5) ^ v[0];
  v[0] = rotate_left(v[0], 16);
  v[2] += v[3];
  v[3] = rotate_left(v[3], 8) ^ v[2];
  v[0] += v[3];
  v[3] = rotate_left(v[3], 7) ^ v[0];
  v[2] += v[1];
  v[1] = rotate_left(v[1], 13) ^ v[2];
  v[2] = rotate_left(v[2], 16);
}

/* Words are little-endian, as this machine's are. */
static inline uint32_t half_sip_hash(const uint32_t key[2], const uint8_t *message, int length) {
  uint32_t v[4] = {key[0], key[1], 0x6c796765 ^ key[0], 0x74656462 ^ key[1]};
  int at = 0;
  for (; at + 4 <= length; at += 4) {
    uint32_t word;
    memcpy(&word, message + at, 4);
    v[3] ^= word;
    half_sip_round(v);
    half_sip_round(v);
    v[0] ^= word;
  }
  uint32_t last = (uint32_t)length << 24;
  for (int i = 0; at + i < length; i++) last |= (uint32_t)message[at + i] << (8 * i);
  v[3] ^= last;
  half_sip_round(v);
  half_sip_round(v);
  v[0] ^= last;
  v[2] ^= 0xff;
  for (int i = 0; i < 4; i++) half_sip_round(v);
  return v[1] ^ v[3];
}

#endif
