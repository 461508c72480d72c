/* Does what its argument says, which on a node is its input. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int seen;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *add(void *number) {
  pthread_mutex_lock(&mutex);
  seen += (int)(long)number;
  pthread_mutex_unlock(&mutex);
  return number;
}

static int compare(const void *a, const void *b) { return *(const char *)a - *(const char *)b; }

/* What an earlier process left, if it left anything. */
static int mark(void) {
  printf("static %d, ", seen++);
  int file = open("/tmp/linux-probe-mark", O_CREAT | O_EXCL | O_WRONLY, 0600);
  printf("file %s\n", file < 0 ? strerror(errno) : "new");
  return file < 0 || write(file, "x", 1) != 1;
}

static void compute(void) {
  pthread_t threads[8];
  for (long i = 0; i < 8; i++) pthread_create(&threads[i], 0, add, (void *)i);
  for (int i = 0; i < 8; i++) pthread_join(threads[i], 0);
  char line[200];
  while (fgets(line, sizeof line, stdin)) {
    char *copy = strdup(line);
    qsort(copy, strlen(copy), 1, compare);
    for (char *at = copy; *at; at++) *at = toupper(*at);
    printf("[%s]\n", copy);
    free(copy);
  }
  printf("%d %.17g %a %e\n", seen, sqrt(2), 1.0 / 3, 1e-300);
}

/* Where code, stack, heap and a mapping are. */
static int places(void) {
  int local;
  void *mapping = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  printf("%p %p %p %p\n", (void *)places, (void *)&local, sbrk(0), mapping);
  return mapping == MAP_FAILED;
}

/* Registers that a call must leave alone hold what nobody else would put there. */
static int calls(void) {
  long parent = syscall(SYS_getppid), wrong = 0;
  for (long i = 0; i < 200000; i++) {
    register long a __asm__("r8") = i, b __asm__("r15") = ~i, result = SYS_getppid;
    __asm__ volatile("syscall" : "+a"(result), "+r"(a), "+r"(b) : : "rcx", "r11", "memory");
    wrong += result != parent || a != i || b != ~i;
  }
  printf("%ld wrong\n", wrong);
  return wrong != 0;
}

static volatile long rung;

static void ring(int number) { rung += number > 0; }

/* As many timers as there may be, each of which expires again at once, and is armed again, for ever. */
/* Touches a page in each so many bytes of a TiB, until that is refused. */
static int scatter(unsigned long step) {
  const unsigned long len = 1ul << 40;
  char *memory = mmap(0, len, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return 4;
  for (unsigned long at = 0; at < len; at += step) ((volatile char *)memory)[at] = 1;
  return 0;
}

static void alarms(void) {
  struct sigaction action = {.sa_handler = ring, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, 0);
  sigaction(SIGUSR1, &action, 0);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  struct itimerspec soon = {.it_interval.tv_nsec = 1, .it_value.tv_nsec = 1};
  struct itimerval often = {.it_interval.tv_usec = 1, .it_value.tv_usec = 1};
  long made = 0;
  timer_t timers[300];
  while (made < 300 && !timer_create(CLOCK_MONOTONIC, &event, &timers[made])) made++;
  for (long turn = 0;; turn++) {
    setitimer(ITIMER_REAL, &often, 0);
    alarm(1);
    timer_settime(timers[turn % made], turn % 2 ? TIMER_ABSTIME : 0, &soon, 0);
  }
}

int main(int count, char **arguments) {
  const char *what = count > 1 ? arguments[1] : "";
  if (!strcmp(what, "mark")) return mark();
  if (!strcmp(what, "places")) return places();
  if (!strcmp(what, "crash")) *(volatile int *)0 = 1;
  if (!strcmp(what, "calls")) return calls();
  if (!strcmp(what, "status")) return 3;
  if (!strcmp(what, "abort")) abort();
  if (!strcmp(what, "alarms")) alarms();
  if (!strcmp(what, "scatter")) return scatter(2ul << 20);
  if (!strcmp(what, "scatter far")) return scatter(1ul << 27);
  while (!strcmp(what, "spin")) __asm__ volatile("");
  if (!strcmp(what, "in vain"))
    printf("%s\n", syscall(SYS_io_uring_setup, 1, 0) < 0 ? strerror(errno) : "served");
  compute();
  return 0;
}
