/* Threads: what the calls beneath them answer, and programs that would hang if one were wrong. */
#define _GNU_SOURCE
#include "show.h"
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_REQUEUE 3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAKE_OP 5
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_WAKE_PRIVATE 129
#define FUTEX_CLOCK_REALTIME 256
/* Adds 3 to the second word, and compares what it was with 0. */
#define ADD_3_IF_0 (1u << 28 | 3 << 12)
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

static int word, other;
static long futex(int *at, int operation, int value, void *time, int *second, int last) {
  return syscall(SYS_futex, at, operation, value, time, second, last);
}

static void calls(void) {
  struct timespec soon = {0, 3000000}, none = {0, 0}, bad = {0, 1000000000}, negative = {-1, 0};
  SHOW(futex(&word, FUTEX_WAIT, 1, 0, 0, 0)); SHOW(futex(&word, FUTEX_WAIT, 0, &soon, 0, 0));
  SHOW(futex(&word, FUTEX_WAIT, 0, &none, 0, 0)); SHOW(futex(&word, FUTEX_WAIT, 0, &bad, 0, 0));
  SHOW(futex(&word, FUTEX_WAIT, 0, &negative, 0, 0));
  SHOW(futex((int *)1, FUTEX_WAIT, 0, 0, 0, 0)); SHOW(futex((int *)16, FUTEX_WAIT, 0, 0, 0, 0));
  SHOW(futex(&word, FUTEX_WAKE, 1, 0, 0, 0)); SHOW(futex(&word, FUTEX_WAKE_PRIVATE, 9, 0, 0, 0));
  SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &none, 0, 0)); SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, &none, 0, 1));
  SHOW(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &none, 0, -1));
  SHOW(futex(&word, FUTEX_WAKE_BITSET, 1, 0, 0, 0)); SHOW(futex(&word, FUTEX_WAKE_BITSET, 1, 0, 0, 4));
  SHOW(futex(&word, FUTEX_REQUEUE, 1, (void *)1, &other, 0));
  SHOW(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 5));
  SHOW(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 0));
  SHOW(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other, ADD_3_IF_0));
  SHOW(other); SHOW(futex(&word, 99, 0, 0, 0, 0));
  SHOW(syscall(SYS_set_robust_list, &word, 23));
  
  SHOW(sched_yield()); SHOW(syscall(SYS_gettid) == getpid());
  SHOW(syscall(SYS_clone3, 0, 8)); SHOW(syscall(SYS_arch_prctl, 0x1003, 8)); SHOW(syscall(SYS_arch_prctl, 0x77, 8));
  SHOW(syscall(SYS_arch_prctl, 0x1002, -4096L));
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static int turn, total;
static __thread int own;
static void *take_turns(void *argument) {
  long number = (long)argument;
  own = number;
  pthread_barrier_wait(&barrier);
  for (int round = 0; round < 20; round++) {
    pthread_mutex_lock(&mutex);
    while (turn % 8 != number) pthread_cond_wait(&changed, &mutex);
    turn++;
    total += own;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
  }
  return (void *)(number * number);
}
static volatile int stop;
static void *spin(void *argument) { double x = 1; while (!stop) x = x * 1.0000001; *(double *)argument = x; return 0; }
static int pipes[2], event;
static void *feed(void *argument) {
  for (int i = 0; i < 5; i++) { usleep(500); write(pipes[1], &i, sizeof i); }
  close(pipes[1]);
  unsigned long one = 1; write(event, &one, 8);
  sem_post(&semaphore);
  return 0;
}
static void *wait_for_signal(void *argument) { sigset_t none; sigemptyset(&none); sigsuspend(&none); return (void *)1; }
static void woken(int signal) {}
static void clean(void *argument) { puts("  cleaned"); }
static void *cancelled(void *argument) { pthread_cleanup_push(clean, 0); for (;;) usleep(1000); pthread_cleanup_pop(0); }
static pthread_key_t key;
static void destroy(void *value) { printf("  destroyed %ld\n", (long)value); }
static void *keyed(void *argument) { pthread_setspecific(key, (void *)5); return 0; }

int main(void) {
  calls();
  pthread_t threads[8], one;
  void *result;
  long sum = 0;
  pthread_barrier_init(&barrier, 0, 8); sem_init(&semaphore, 0, 0);
  for (long i = 0; i < 8; i++) SHOW(pthread_create(&threads[i], 0, take_turns, (void *)i));
  for (int i = 0; i < 8; i++) { pthread_join(threads[i], &result); sum += (long)result; }
  SHOW(sum); SHOW(total); SHOW(turn);
  double value = 0, mine = 2.5;
  SHOW(pthread_create(&one, 0, spin, &value)); usleep(5000); mine *= 2; stop = 1; SHOW(pthread_join(one, 0));
  printf("%g %d\n", mine, value >= 1);
  SHOW(pipe(pipes)); event = eventfd(0, 0); int watch = epoll_create1(0);
  struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 17}, got = {0};
  SHOW(epoll_ctl(watch, EPOLL_CTL_ADD, event, &wanted));
  SHOW(epoll_wait(watch, &got, 1, 2));
  SHOW(pthread_create(&one, 0, feed, 0));
  struct pollfd polled = {pipes[0], POLLIN}; int number;
  while (read(pipes[0], &number, sizeof number) > 0) printf("  read %d\n", number);
  SHOW(epoll_wait(watch, &got, 1, -1)); SHOW(got.data.u64); SHOW(sem_wait(&semaphore)); SHOW(pthread_join(one, 0));
  struct timespec now; clock_gettime(CLOCK_REALTIME, &now); now.tv_nsec += 2000000; if (now.tv_nsec >= 1000000000) { now.tv_sec++; now.tv_nsec -= 1000000000; }
  SHOW(sem_timedwait(&semaphore, &now));
  pthread_mutex_lock(&mutex); SHOW(pthread_mutex_timedlock(&mutex, &now)); 
  SHOW(pthread_cond_timedwait(&changed, &mutex, &now)); pthread_mutex_unlock(&mutex);
  signal(SIGUSR1, woken);
  sigset_t blocked; sigemptyset(&blocked); sigaddset(&blocked, SIGUSR1); sigprocmask(SIG_BLOCK, &blocked, 0);
  SHOW(pthread_create(&one, 0, wait_for_signal, 0)); usleep(1000); int sent = pthread_kill(one, SIGUSR1); SHOW(pthread_join(one, &result)); SHOW(sent); SHOW(result);
  SHOW(pthread_create(&one, 0, cancelled, 0)); usleep(3000); int asked = pthread_cancel(one); SHOW(pthread_join(one, &result)); SHOW(asked); SHOW(result == PTHREAD_CANCELED);
  pthread_key_create(&key, destroy); int made = pthread_create(&one, 0, keyed, 0), joined = pthread_join(one, 0); SHOW(made); SHOW(joined);
  pthread_mutexattr_t robust; pthread_mutexattr_init(&robust); pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
  pthread_once_t once = PTHREAD_ONCE_INIT; 
  for (int i = 0; i < 200; i++) { pthread_create(&one, 0, keyed + 0, 0); pthread_join(one, 0); if (i == 2) pthread_key_delete(key); }
  SHOW(once); fflush(stdout);
  return 7;
}
