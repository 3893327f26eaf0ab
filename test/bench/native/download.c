/*
 * TCP downloads as plainly as they go.
 *
 *   download serve PORT                                  writes as fast as it can into any number of connections
 *   download take ADDRESS PORT FLOWS SECONDS WARM_UP     reads for WARM_UP and SECONDS, and prints the megabits per
 *                                                        second that came in SECONDS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
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

enum { MAX_FLOWS = 256, BUFFER = 64 << 10, BACKLOG = 4096 };

static char buffer[BUFFER];
static struct pollfd fds[MAX_FLOWS + 1];

static _Noreturn void serve(int port) {
  int listener = listen_at(port, BACKLOG);
  int count = 1;
  fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
  for (;;) {
    poll(fds, count, -1);
    for (int i = count - 1; i > 0; i--) {
      if (fds[i].revents == 0) continue;
      if (send(fds[i].fd, buffer, BUFFER, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN) continue;
      close(fds[i].fd);
      fds[i] = fds[--count];
    }
    count = accept_next(fds, count, MAX_FLOWS, POLLOUT);
  }
}

static int take(const char *address, int port, int flows, double duration, double warm_up) {
  if (flows > MAX_FLOWS) fail("arguments");
  for (int i = 0; i < flows; i++) {
    fds[i] = (struct pollfd){.fd = connect_to(address, port), .events = POLLIN};
  }
  puts("ready");
  fflush(stdout);
  double begin = seconds() + warm_up;
  double now;
  double started = 0;
  uint64_t sum = 0;
  while (now = seconds(), started == 0 || now - started < duration) {
    if (started == 0 && now >= begin) {
      started = now;
      sum = 0;
    }
    if (poll(fds, flows, 10) < 0 && errno != EINTR) fail("poll");
    for (int i = 0; i < flows; i++) {
      if (fds[i].revents == 0) continue;
      ssize_t length = recv(fds[i].fd, buffer, BUFFER, MSG_DONTWAIT);
      if (length == 0 || (length < 0 && errno != EAGAIN)) fail("recv");
      if (length > 0) sum += length;
    }
  }
  printf("%.1f\n", sum * 8 / 1e6 / (now - started));
  return 0;
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(atoi(argv[2]));
  if (argc == 7 && strcmp(argv[1], "take") == 0) {
    return take(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]), atof(argv[6]));
  }
  fprintf(stderr, "usage: download serve PORT | download take ADDRESS PORT FLOWS SECONDS WARM_UP\n");
  return 2;
}
