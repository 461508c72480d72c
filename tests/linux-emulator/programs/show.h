/* What the programs share that show what calls answer. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *strerrorname(int number) {
  static char text[64];
  snprintf(text, sizeof text, "errno %d (%s)", number, strerror(number));
  return text;
}

/* Prints an expression, its value, and the error if it failed. What succeeds may leave errno as it likes: a
   `sem_wait` that had to wait does so or not as the threads happen to run. */
#define SHOW(expression)                                                        \
  do {                                                                          \
    errno = 0;                                                                  \
    long answer_ = (long)(expression);                                            \
    printf("%s = %ld %s\n", #expression, answer_, answer_ < 0 && errno ? strerrorname(errno) : ""); \
  } while (0)
