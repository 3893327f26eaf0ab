/* What the programs that send TCP have in common. */
#ifndef TCP_H
#define TCP_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

/* A listener at all IPv4 addresses; "ready" is printed when it stands. */
static inline int listen_at(int port, int backlog) {
  int one = 1;
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (listener < 0 || bind(listener, (struct sockaddr *)&name, sizeof name) < 0 || listen(listener, backlog) < 0) {
    fail("listen");
  }
  puts("ready");
  fflush(stdout);
  return listener;
}

static inline int connect_to(const char *address, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) fail("address");
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
  return fd;
}

/* Takes what has come to the listener in fds[0], to be polled for these events. Returns how many there are then. */
static inline int accept_next(struct pollfd *fds, int count, int most, short events) {
  if (fds[0].revents == 0 || count > most) return count;
  fds[count] = (struct pollfd){.fd = accept(fds[0].fd, NULL, NULL), .events = events};
  return count + 1;
}

#endif
