/*
 * Holds live TCP connections, both ends of each, until it is killed or its parent dies.
 *
 *   connections SERVER PORT CLIENT COUNT
 *
 * The clients are the addresses from CLIENT on, PORTS connections each, from port FIRST_PORT on. All addresses must be
 * local ones. Prints a line when all connections are there. Each client is a process, which holds both ends: one process
 * may not have so many files.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORTS = 400, FIRST_PORT = 10000 };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int tcp_socket(struct sockaddr_in name) {
  int one = 1;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&name, sizeof name) < 0) fail("bind");
  return fd;
}

/* In a process of its own, which stays; returns when the connections are there. */
static void connect_client(int listener, struct sockaddr_in server, struct sockaddr_in client, int count) {
  int told[2];
  char word;
  if (pipe(told) < 0) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child > 0) {
    close(told[1]);
    if (read(told[0], &word, 1) != 1) exit(1);
    close(told[0]);
    return;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < count; i++) {
    client.sin_port = htons(FIRST_PORT + i);
    int fd = tcp_socket(client);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0) fail("connect");
    if (accept(listener, NULL, NULL) < 0) fail("accept");
  }
  if (write(told[1], "!", 1) != 1) fail("write");
  for (;;) pause();
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (argc != 5) {
    fprintf(stderr, "usage: connections SERVER PORT CLIENT COUNT\n");
    return 2;
  }
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  struct sockaddr_in client = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1 || inet_pton(AF_INET, argv[3], &client.sin_addr) != 1) {
    fail("addresses");
  }
  uint32_t first = ntohl(client.sin_addr.s_addr);
  int listener = tcp_socket(server);
  if (listen(listener, 16) < 0) fail("listen");
  for (int left = atoi(argv[4]); left > 0; left -= PORTS, first++) {
    client.sin_addr.s_addr = htonl(first);
    connect_client(listener, server, client, left < PORTS ? left : PORTS);
  }
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
