/* Big-endian fields at any alignment. */
#ifndef TWIN_BYTES_H
#define TWIN_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t get16(const uint8_t *at) {
  uint16_t value;
  memcpy(&value, at, 2);
  return __builtin_bswap16(value);
}

static inline uint32_t get32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return __builtin_bswap32(value);
}

static inline void put16(uint8_t *at, uint16_t value) {
  value = __builtin_bswap16(value);
  memcpy(at, &value, 2);
}

static inline void put32(uint8_t *at, uint32_t value) {
  value = __builtin_bswap32(value);
  memcpy(at, &value, 4);
}

#endif
