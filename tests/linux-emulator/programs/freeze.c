// A program that is frozen where it first looks at its input: what an instance finds of what ran
// before. The first argument says what it looks with.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int asked, answered;

static void *helper(void *argument) {
    pthread_mutex_lock(&lock);
    while (!asked) pthread_cond_wait(&changed, &lock);
    answered = 42;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    return argument;
}

static volatile int handled;
static void handler(int signal) { handled = signal; }

static void look(const char *how) {
    char byte;
    struct pollfd polled = {0, POLLIN, 0};
    if (!strcmp(how, "poll")) printf("poll %d\n", poll(&polled, 1, 1000));
    if (!strcmp(how, "select")) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(0, &set);
        printf("select %d\n", select(1, &set, NULL, NULL, NULL));
    }
    if (!strcmp(how, "epoll")) {
        int epoll = epoll_create1(0);
        struct epoll_event event = {EPOLLIN, {.u64 = 7}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
        printf("epoll %d\n", epoll_wait(epoll, &event, 1, -1));
    }
    if (!strcmp(how, "explicit")) {
        int fd = open("/dev/hostkernel-freeze", O_RDONLY);
        printf("explicit %zd\n", read(fd, &byte, 1));
        close(fd);
    }
    if (!strcmp(how, "exit")) exit(0);
    if (!strcmp(how, "fail")) exit(3);
    if (!strcmp(how, "crash")) *(volatile int *)0 = 1;
}

static void *busy(void *argument) {
    pthread_setname_np(pthread_self(), "spinner");
    for (;;) *(volatile int *)&answered;
    return argument;
}

int main(int count, char **arguments) {
    const char *how = count > 1 ? arguments[1] : "read";
    unsigned long drawn[2];
    char line[256], path[64];
    pid_t before = getpid();
    getrandom(&drawn[0], sizeof drawn[0], 0);
    char *wiped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (madvise(wiped, 4096, MADV_WIPEONFORK)) perror("madvise");
    memset(wiped, 'x', 8192);
    signal(SIGUSR1, handler);
    pthread_t thread;
    pthread_create(&thread, NULL, strcmp(how, "busy") ? helper : busy, NULL);
    setvbuf(stdout, NULL, _IONBF, 0);
    FILE *file = fopen("/tmp/note", "w");
    fputs("written before\n", file);
    fclose(file);
    printf("before the freeze\n");

    look(how);
    printf("line %s", fgets(line, sizeof line, stdin));
    printf("rest %s", fgets(line, sizeof line, stdin) ? line : "none\n");

    pthread_mutex_lock(&lock);
    asked = 1;
    pthread_cond_signal(&changed);
    while (!answered) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    printf("helper %d\n", answered);
    raise(SIGUSR1);
    printf("raised %d, tid is pid %d\n", handled == SIGUSR1, getpid() == syscall(SYS_gettid));
    printf("another process %d\n", getpid() != before);
    printf("wiped %d kept %d\n", wiped[0] == 0 && wiped[4095] == 0, wiped[4096] == 'x');
    file = fopen("/tmp/note", "r+");
    printf("note %s", fgets(line, sizeof line, file));
    // What one call writes no other one sees.
    rewind(file);
    fputs("overwritten    \n", file);
    fclose(file);
    snprintf(path, sizeof path, "/proc/%d/environ", getpid());
    file = fopen(path, "r");
    if (!file) file = fopen("/proc/self/environ", "r");
    printf("environment %s\n", fgets(line, sizeof line, file) ? line : "none");
    fclose(file);
    getrandom(&drawn[1], sizeof drawn[1], 0);
    printf("random %016lx\n", drawn[1]);
    FILE *result = fdopen(3, "w");
    if (result && count > 2) {
        fprintf(result, "{}");
        fclose(result);
    }
    return 0;
}
