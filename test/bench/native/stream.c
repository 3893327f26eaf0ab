/*
 * Bulk TCP as plainly as it goes.
 *
 *   stream sink PORT                           reads whatever comes, of any number of connections, until it is killed
 *   stream source ADDRESS PORT FLOWS SECONDS WARM_UP
 *       writes as fast as it can for WARM_UP and SECONDS, and prints the megabits per second that the other end
 *       acknowledged in SECONDS, and the bytes that it acknowledged in all
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tcp.h"

enum { MAX_FLOWS = 64, BUFFER = 256 << 10 };

static char buffer[BUFFER];
static struct pollfd fds[MAX_FLOWS + 1];

static void sink(int port) {
  int listener = listen_at(port, MAX_FLOWS);
  int count = 1;
  fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
  for (;;) {
    poll(fds, count, -1);
    for (int i = count - 1; i > 0; i--) {
      if (fds[i].revents == 0) continue;
      if (read(fds[i].fd, buffer, BUFFER) > 0) continue;
      close(fds[i].fd);
      fds[i] = fds[--count];
    }
    count = accept_next(fds, count, MAX_FLOWS, POLLIN);
  }
}

static uint64_t acknowledged(int flows) {
  uint64_t sum = 0;
  for (int i = 0; i < flows; i++) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fds[i].fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) fail("TCP_INFO");
    sum += info.tcpi_bytes_acked;
  }
  return sum;
}

static int source(const char *address, int port, int flows, double duration, double warm_up) {
  if (flows > MAX_FLOWS) fail("arguments");
  for (int i = 0; i < flows; i++) {
    fds[i] = (struct pollfd){.fd = connect_to(address, port), .events = POLLOUT};
  }
  double begin = seconds() + warm_up;
  double started = 0;
  uint64_t before = 0;
  for (;;) {
    double now = seconds();
    if (started == 0 && now >= begin) {
      started = now;
      before = acknowledged(flows);
    }
    if (started != 0 && now - started >= duration) break;
    if (poll(fds, flows, 100) < 0 && errno != EINTR) fail("poll");
    for (int i = 0; i < flows; i++) {
      if (fds[i].revents == 0) continue;
      if (send(fds[i].fd, buffer, BUFFER, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN) fail("send");
    }
  }
  uint64_t sum = acknowledged(flows);
  printf("%.1f %.0f\n", (sum - before) * 8 / 1e6 / (seconds() - started), (double)sum);
  return 0;
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (argc == 3 && strcmp(argv[1], "sink") == 0) sink(atoi(argv[2]));
  if (argc == 7 && strcmp(argv[1], "source") == 0) {
    return source(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]), atof(argv[6]));
  }
  fprintf(stderr, "usage: stream sink PORT | stream source ADDRESS PORT FLOWS SECONDS WARM_UP\n");
  return 2;
}
