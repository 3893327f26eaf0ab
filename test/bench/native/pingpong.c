/*
 * Small requests and answers over one TCP connection, one at a time.
 *
 *   pingpong serve PORT                  echoes, one connection after the other, until it is killed
 *   pingpong ask ADDRESS PORT SECONDS    prints how many microseconds an answer took: the median and the 99th
 *                                        percentile, and the number of answers
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tcp.h"

enum { REQUEST = 64, MOST = 1 << 20 };

static char buffer[REQUEST];
static double samples[MOST];

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec * 1e-3;
}

static void without_delay(int fd) {
  int one = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) fail("TCP_NODELAY");
}

static void serve(int port) {
  int listener = listen_at(port, 16);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) fail("accept");
    without_delay(fd);
    while (recv(fd, buffer, REQUEST, MSG_WAITALL) == REQUEST) {
      if (send(fd, buffer, REQUEST, MSG_NOSIGNAL) != REQUEST) break;
    }
    close(fd);
  }
}

static int ascending(const void *a, const void *b) {
  double one = *(const double *)a;
  double other = *(const double *)b;
  return (one > other) - (one < other);
}

static int ask(const char *address, int port, double seconds) {
  int fd = connect_to(address, port);
  without_delay(fd);
  double end = microseconds() + seconds * 1e6;
  int count = 0;
  for (double now = microseconds(); now < end && count < MOST;) {
    if (send(fd, buffer, REQUEST, MSG_NOSIGNAL) != REQUEST) fail("send");
    if (recv(fd, buffer, REQUEST, MSG_WAITALL) != REQUEST) fail("recv");
    double then = now;
    now = microseconds();
    samples[count++] = now - then;
  }
  if (count == 0) fail("no answer");
  qsort(samples, count, sizeof *samples, ascending);
  printf("%.2f %.2f %d\n", samples[count / 2], samples[(int)(count * 0.99)], count);
  return 0;
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(atoi(argv[2]));
  if (argc == 5 && strcmp(argv[1], "ask") == 0) return ask(argv[2], atoi(argv[3]), atof(argv[4]));
  fprintf(stderr, "usage: pingpong serve PORT | pingpong ask ADDRESS PORT SECONDS\n");
  return 2;
}
