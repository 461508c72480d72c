/* Calls about signals, one line each: what they answer, with which error, and what handlers see. */
#define _GNU_SOURCE
#include "show.h"
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static volatile int seen, count;
static sigjmp_buf back;

static void note(int signal) { seen = signal; count++; }
static void inform(int signal, siginfo_t *info, void *context) {
  printf("  handler: signal %d code %d own %d value %d\n", signal, info->si_code,
         info->si_pid == getpid(), info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
}
static void nested(int signal) {
  printf("  begin %d\n", signal);
  if (signal == SIGUSR1) raise(SIGUSR2);
  if (signal == SIGUSR1 && !count++) raise(SIGUSR1);
  printf("  end %d\n", signal);
}
static void fault(int signal, siginfo_t *info, void *context) {
  ucontext_t *at = context;
  sigset_t mask;
  stack_t stack;
  sigprocmask(SIG_BLOCK, 0, &mask);
  sigaltstack(0, &stack);
  printf("  fault: signal %d code %d address %#lx trap %lld blocked %d stack %d\n", signal,
         info->si_code, (unsigned long)info->si_addr < 0x10000 ? (unsigned long)info->si_addr : 1,
         (long long)at->uc_mcontext.gregs[REG_TRAPNO], sigismember(&mask, signal), stack.ss_flags);
  siglongjmp(back, 1);
}
static void step_over(int signal, siginfo_t *info, void *context) {
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RBX] = 42;
  double scribble = 3.25;
  __asm__ volatile("movsd %0, %%xmm9; movsd %0, %%xmm1" ::"m"(scribble) : "xmm9", "xmm1");
}

static void set(int signal, void *handler, int flags) {
  struct sigaction action = {.sa_flags = flags};
  action.sa_handler = handler;
  SHOW(sigaction(signal, &action, 0));
}

static void faults(void) {
  static char stack[65536];
  stack_t alternate = {stack, 0, sizeof stack};
  SHOW(sigaltstack(&alternate, 0));
  int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  for (int i = 0; i < 5; i++) set(signals[i], fault, SA_SIGINFO | SA_ONSTACK);
  volatile int zero = 0;
  char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!sigsetjmp(back, 1)) *(volatile char *)8 = 1;
  if (!sigsetjmp(back, 1)) zero = *(volatile char *)0;
  if (!sigsetjmp(back, 1)) page[1] = 1;
  if (!sigsetjmp(back, 1)) ((void (*)(void))page)();
  if (!sigsetjmp(back, 1)) ((void (*)(void))16)();
  if (!sigsetjmp(back, 1)) printf("%d\n", 1 / zero);
  if (!sigsetjmp(back, 1)) __asm__ volatile("ud2");
  if (!sigsetjmp(back, 1)) __asm__ volatile("int3");
  if (!sigsetjmp(back, 1)) __asm__ volatile("hlt");
  if (!sigsetjmp(back, 1)) *(volatile char *)0x8000000000000000 = 1;
  set(SIGILL, step_over, SA_SIGINFO);
  double kept = 1.5;
  long changed = 1;
  __asm__ volatile("movsd %1, %%xmm9; mov $1, %%ebx; ud2; mov %%rbx, %0; movsd %%xmm9, %1"
                   : "=r"(changed), "+m"(kept)::"rbx", "xmm9");
  printf("kept %g changed %ld\n", kept, changed);
}

static void waiting(void) {
  sigset_t usr1, old;
  siginfo_t info;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  struct timespec soon = {0, 5000000}, none = {0, 0};
  SHOW(sigprocmask(SIG_BLOCK, &usr1, &old));
  SHOW(sigtimedwait(&usr1, &info, &none));
  SHOW(sigtimedwait(&usr1, &info, &soon));
  SHOW(raise(SIGUSR1)); SHOW(raise(SIGUSR1));
  SHOW(sigtimedwait(&usr1, &info, &soon)); SHOW(sigtimedwait(&usr1, &info, &none));
  union sigval value = {.sival_int = 7};
  set(SIGRTMIN + 1, note, 0);
  SHOW(sigqueue(getpid(), SIGRTMIN + 1, value));
  set(SIGUSR1, note, 0);
  SHOW(raise(SIGUSR1));
  count = 0;
  SHOW(sigsuspend(&old)); SHOW(count);
  SHOW(sigprocmask(0, 0, &old)); SHOW(sigismember(&old, SIGUSR1));
  SHOW(sigprocmask(SIG_UNBLOCK, &usr1, 0));
  set(SIGALRM, note, 0);
  struct itimerval timer = {{0, 0}, {0, 3000}};
  SHOW(setitimer(ITIMER_REAL, &timer, 0)); SHOW(pause()); SHOW(seen);
  struct timespec second = {1, 0}, left = {9, 9};
  SHOW(setitimer(ITIMER_REAL, &timer, 0)); SHOW(nanosleep(&second, &left)); SHOW(left.tv_sec);
  SHOW(setitimer(ITIMER_REAL, &timer, 0)); seen = 0; while (!seen); SHOW(seen);
  timer.it_interval.tv_usec = 2000; count = 0;
  SHOW(setitimer(ITIMER_REAL, &timer, 0)); while (count < 5); SHOW(count >= 5);
  timer.it_value.tv_usec = 0; SHOW(setitimer(ITIMER_REAL, &timer, 0));
  SHOW(getitimer(ITIMER_REAL, &timer)); SHOW(timer.it_value.tv_usec);
  SHOW(setitimer(9, &timer, 0)); SHOW(alarm(100)); SHOW(alarm(0)); SHOW(alarm(0));
  timer_t id; struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  event.sigev_value.sival_int = 5;
  set(SIGRTMIN, note, 0); count = 0;
  SHOW(timer_create(CLOCK_MONOTONIC, &event, &id));
  struct itimerspec spec = {{0, 2000000}, {0, 2000000}};
  SHOW(timer_settime(id, 0, &spec, 0)); while (count < 3); SHOW(timer_delete(id));
  SHOW(timer_settime(id, 0, &spec, 0));
}

int main(void) {
  setvbuf(stdout, 0, _IOFBF, 1 << 16);
  struct sigaction action = {0};
  for (int signal = 0; signal < 67; signal++) {
    errno = 0;
    long answer = syscall(SYS_rt_sigaction, signal, 0, &action, 8);
    long answer2 = syscall(SYS_rt_sigaction, signal, &action, 0, 8);
    printf("%d: %ld %ld %d; ", signal, answer, answer2, errno);
  }
  puts("");
  SHOW(syscall(SYS_rt_sigaction, SIGUSR1, 0, 0, 4));
  SHOW(syscall(SYS_rt_sigaction, SIGUSR1, 1, 0, 8));
  SHOW(syscall(SYS_rt_sigprocmask, 5, &action, 0, 8)); SHOW(syscall(SYS_rt_sigprocmask, 0, 0, 0, 4));
  SHOW(syscall(SYS_rt_sigprocmask, 0, 1, 0, 8));
  set(SIGUSR1, inform, SA_SIGINFO); set(SIGUSR2, inform, SA_SIGINFO);
  SHOW(raise(SIGUSR1)); SHOW(kill(getpid(), SIGUSR1)); SHOW(kill(0, 0)); SHOW(kill(getpid(), 65));
  SHOW(kill(4194000, 0)); SHOW(syscall(SYS_tgkill, getpid(), 4194000, SIGUSR1));
  SHOW(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1)); SHOW(syscall(SYS_tgkill, -1, 1, 1));
  SHOW(syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR1));
  union sigval value = {.sival_int = 77};
  SHOW(sigqueue(getpid(), SIGUSR2, value)); SHOW(sigqueue(getpid(), 99, value));
  set(SIGUSR1, nested, 0); set(SIGUSR2, nested, 0); SHOW(raise(SIGUSR1));
  set(SIGUSR1, nested, SA_RESETHAND); SHOW(raise(SIGUSR2));
  SHOW(sigaction(SIGUSR1, 0, &action)); SHOW(action.sa_handler == (void *)nested);
  set(SIGUSR1, SIG_IGN, 0); SHOW(raise(SIGUSR1)); set(SIGCHLD, SIG_DFL, 0); SHOW(raise(SIGCHLD));
  SHOW(raise(SIGURG)); SHOW(raise(SIGWINCH)); SHOW(raise(SIGCONT));
  set(SIGKILL, note, 0); set(SIGSTOP, note, 0);
  sigset_t all, pending; sigfillset(&all);
  SHOW(sigprocmask(SIG_SETMASK, &all, 0)); SHOW(sigprocmask(SIG_SETMASK, 0, &pending));
  SHOW(sigismember(&pending, SIGKILL)); SHOW(sigismember(&pending, SIGTERM));
  set(SIGUSR2, note, 0); set(SIGRTMIN + 3, note, 0); count = 0;
  for (int i = 0; i < 3; i++) { raise(SIGUSR2); raise(SIGRTMIN + 3); }
  SHOW(sigpending(&pending)); SHOW(sigismember(&pending, SIGUSR2)); SHOW(count);
  sigemptyset(&all); SHOW(sigprocmask(SIG_SETMASK, &all, 0)); SHOW(count);
  stack_t stack = {0}; SHOW(sigaltstack(0, &stack)); SHOW(stack.ss_flags); SHOW(stack.ss_size);
  stack.ss_size = 100; stack.ss_flags = 0; SHOW(sigaltstack(&stack, 0));
  stack.ss_flags = 77; SHOW(sigaltstack(&stack, 0)); SHOW(syscall(SYS_sigaltstack, 1L, 0L));
  faults();
  waiting();
  fflush(stdout);
  set(SIGSEGV, SIG_DFL, 0);
  fflush(stdout);
  *(volatile char *)0 = 1;
  return 0;
}
