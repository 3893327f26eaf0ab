/*
 * Sends packets as fast as it can, over and over, until it is killed or its parent dies; or so many as it is told.
 *
 *   generator tun NAME FILE [FLOWS]      IP packets out of the interface NAME, past routing and queueing disciplines;
 *                                        with FLOWS, packets have other sources in each pass over FILE, until so many
 *                                        flows have been sent
 *   generator udp SOURCE DEST PORT FILE  UDP payloads from address SOURCE to DEST:PORT
 *   generator fill-tun NAME FILE COUNT   COUNT IP packets out of the interface NAME, as above; fails when one is lost
 *   generator fill-ip FILE COUNT         COUNT IPv4 packets, routed; fails when one cannot be sent
 *
 * FILE holds the packets, each behind its length as a 32-bit little-endian number. UDP payloads have one length: they
 * are handed over in trains, which the kernel cuts (UDP_SEGMENT), or the generator would be slower than what it floods.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { BURST = 64, MAX_PACKETS = 65536, MAX_TRAIN = 32, MAX_TRAIN_BYTES = 60000, SEND_BUFFER = 64 << 20 };
#ifndef PACKET_QDISC_BYPASS
#define PACKET_QDISC_BYPASS 20
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static struct mmsghdr messages[MAX_PACKETS];
static struct iovec vectors[MAX_PACKETS];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int load(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail(path);
  int count = 0;
  uint32_t length;
  while (count < MAX_PACKETS && fread(&length, sizeof length, 1, file) == 1) {
    vectors[count].iov_base = malloc(length);
    vectors[count].iov_len = length;
    if (fread(vectors[count].iov_base, 1, length, file) != length) fail(path);
    messages[count].msg_hdr.msg_iov = &vectors[count];
    messages[count].msg_hdr.msg_iovlen = 1;
    count++;
  }
  fclose(file);
  return count;
}

static int open_tun(const char *name, int count) {
  static struct sockaddr_ll addresses[2];
  int one = 1;
  int room = SEND_BUFFER;
  int fd = socket(AF_PACKET, SOCK_DGRAM, 0);
  if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) < 0) fail("packet socket");
  /* A packet counts until it is freed, wherever on this machine it waits: no queue that we flood shall hold us up. */
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  for (int i = 0; i < 2; i++) {
    addresses[i].sll_family = AF_PACKET;
    addresses[i].sll_protocol = htons(i == 0 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
    addresses[i].sll_ifindex = if_nametoindex(name);
  }
  for (int i = 0; i < count; i++) {
    int version = *(uint8_t *)vectors[i].iov_base >> 4;
    messages[i].msg_hdr.msg_name = &addresses[version == 6];
    messages[i].msg_hdr.msg_namelen = sizeof addresses[0];
  }
  return fd;
}

static struct sockaddr_in address(const char *text, int port) {
  struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, text, &result.sin_addr) != 1) fail(text);
  return result;
}

/* Joins neighbours to trains; returns how many there are. */
static int join(int count) {
  int length = vectors[0].iov_len;
  int per_train = MAX_TRAIN_BYTES / length < MAX_TRAIN ? MAX_TRAIN_BYTES / length : MAX_TRAIN;
  int trains = 0;
  for (int at = 0; at + per_train <= count; at += per_train, trains++) {
    char *train = malloc((size_t)length * per_train);
    for (int i = 0; i < per_train; i++) {
      if ((int)vectors[at + i].iov_len != length) fail("payloads of different lengths");
      memcpy(train + i * length, vectors[at + i].iov_base, length);
    }
    vectors[trains] = (struct iovec){train, (size_t)length * per_train};
  }
  return trains;
}

static int open_udp(const char *source, const char *destination, int port) {
  int segment = vectors[0].iov_len;
  struct sockaddr_in from = address(source, 0);
  struct sockaddr_in to = address(destination, port);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) < 0) fail("bind");
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
  if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0) fail("UDP_SEGMENT");
  return fd;
}

/* A socket that takes whole IPv4 packets. */
static int open_ip(int count) {
  static struct sockaddr_in addresses[MAX_PACKETS];
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) fail("raw socket");
  for (int i = 0; i < count; i++) {
    addresses[i].sin_family = AF_INET;
    memcpy(&addresses[i].sin_addr, (uint8_t *)vectors[i].iov_base + 16, sizeof addresses[i].sin_addr);
    messages[i].msg_hdr.msg_name = &addresses[i];
    messages[i].msg_hdr.msg_namelen = sizeof addresses[i];
  }
  return fd;
}

/* Sends `total` packets, over and over the `count` there are. */
static void fill(int fd, int count, int total) {
  for (int done = 0; done < total;) {
    int at = done % count;
    int burst = count - at < BURST ? count - at : BURST;
    if (burst > total - done) burst = total - done;
    int sent = sendmmsg(fd, messages + at, burst, 0);
    if (sent < 0) fail("sendmmsg");
    done += sent;
  }
}

/* Writes the number of the pass into the middle of each source address. */
static void change_sources(int count, int pass) {
  for (int i = 0; i < count; i++) {
    uint8_t *packet = vectors[i].iov_base;
    packet[packet[0] >> 4 == 6 ? 21 : 13] = pass;
  }
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int fd;
  int count;
  int flows = 0;
  if ((argc == 4 || argc == 5) && strcmp(argv[1], "tun") == 0) {
    count = load(argv[3]);
    fd = open_tun(argv[2], count);
    if (argc == 5) flows = atoi(argv[4]);
  } else if (argc == 6 && strcmp(argv[1], "udp") == 0) {
    count = load(argv[5]);
    fd = open_udp(argv[2], argv[3], atoi(argv[4]));
    count = join(count);
  } else if (argc == 5 && strcmp(argv[1], "fill-tun") == 0) {
    count = load(argv[3]);
    fill(open_tun(argv[2], count), count, atoi(argv[4]));
    return 0;
  } else if (argc == 4 && strcmp(argv[1], "fill-ip") == 0) {
    count = load(argv[2]);
    fill(open_ip(count), count, atoi(argv[3]));
    return 0;
  } else {
    fprintf(stderr, "usage: generator tun NAME FILE [FLOWS] | udp SOURCE DEST PORT FILE | fill-tun NAME FILE COUNT | "
                    "fill-ip FILE COUNT\n");
    return 2;
  }
  for (int at = 0, pass = 0;;) {
    int burst = count - at < BURST ? count - at : BURST;
    int sent = sendmmsg(fd, messages + at, burst, 0);
    /* What the other end has no room for is skipped: it is meant to be flooded. */
    at += sent > 0 ? sent : 1;
    if (at < count) continue;
    at = 0;
    if (flows <= count) continue;
    pass = (pass + 1) % (flows / count);
    change_sources(count, pass);
  }
}
