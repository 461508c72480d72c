// The C library: streams, memory, jumps, numbers as text, sorting, threads, signals.
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static void streams(void) {
    char line[128];
    while (fgets(line, sizeof line, stdin)) printf("%zu: %s", strlen(line), line);
    FILE *file = fopen("/tmp/library-note", "w+");
    fprintf(file, "%s %d %c\n", "kept", 42, '!');
    rewind(file);
    char word[16];
    int number;
    printf("%d ", fscanf(file, "%15s %d", word, &number));
    printf("%s %d %ld\n", word, number, ftell(file));
    fclose(file);
    printf("%d %d %s\n", remove("/tmp/library-note"), remove("/tmp/library-note"), strerror(errno));
}

static void numbers(void) {
    printf("%.3f %e %g %a\n", M_PI, 1e-300, 123456789.0, 0.1);
    printf("%5d|%-5d|%05d|%x|%lld\n", 42, 42, -42, 255, 1LL << 40);
    printf("%.17g %.2f %s\n", strtod("0.1", 0), sqrt(2) + sin(1), setlocale(LC_ALL, 0));
    printf("%ld %lu %zu\n", strtol("-7fz", 0, 16), strtoul("0777", 0, 0), wcslen(L"wide"));
    time_t day = 86400;
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%d %H:%M", gmtime(&day));
    printf("%s\n", text);
}

// Blocks of all sizes, each full of its own byte, come and go.
static void memory(void) {
    enum { BLOCKS = 500, ROUNDS = 20000 };
    static struct { unsigned char *at; size_t len; } blocks[BLOCKS];
    unsigned seed = 7, wrong = 0;
    for (int round = 0; round < ROUNDS; ++round) {
        seed = seed * 1103515245 + 12345;
        int which = seed / 65536 % BLOCKS;
        for (size_t at = 0; at < blocks[which].len; at += 97)
            wrong += blocks[which].at[at] != (unsigned char)which;
        size_t len = seed % 31 ? seed / 3 % 2000 : seed / 3 % 300000;
        if (round % 3) blocks[which].at = realloc(blocks[which].at, len + 1);
        else free(blocks[which].at), blocks[which].at = malloc(len + 1);
        blocks[which].len = len;
        memset(blocks[which].at, which, len);
    }
    for (int which = 0; which < BLOCKS; ++which) free(blocks[which].at);
    void *aligned = 0;
    printf("%u wrong, %d", wrong, posix_memalign(&aligned, 4096, 10000));
    printf(" %d\n", (int)((size_t)aligned % 4096));
    free(aligned);
}

static int compare(const void *one, const void *other) {
    return *(const int *)one - *(const int *)other;
}

static void sorting(void) {
    int numbers[1000], wanted = 500;
    for (int at = 0; at < 1000; ++at) numbers[at] = at * 7919 % 1009;
    qsort(numbers, 1000, sizeof *numbers, compare);
    int *found = bsearch(&wanted, numbers, 1000, sizeof *numbers, compare);
    printf("%d %d %d\n", numbers[0], numbers[999], found ? *found : -1);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int sum, whose;

static void *adds(void *which) {
    for (int round = 0; round < 100; ++round) {
        pthread_mutex_lock(&lock);
        while (whose != (int)(size_t)which) pthread_cond_wait(&turn, &lock);
        sum += round;
        whose = (whose + 1) % 4;
        pthread_cond_broadcast(&turn);
        pthread_mutex_unlock(&lock);
    }
    return which;
}

static void threads(void) {
    pthread_t all[4];
    size_t results = 0;
    for (size_t at = 0; at < 4; ++at) pthread_create(&all[at], 0, adds, (void *)at);
    for (size_t at = 0; at < 4; ++at) {
        void *result;
        pthread_join(all[at], &result);
        results += (size_t)result;
    }
    printf("%d by threads, %zu\n", sum, results);
}

static sigjmp_buf back;
static volatile sig_atomic_t seen;

static void handle(int number) {
    seen += number;
    if (number == SIGSEGV) siglongjmp(back, 7);
}

static void signals(void) {
    struct sigaction action = {.sa_handler = handle};
    sigaction(SIGUSR1, &action, 0);
    sigaction(SIGSEGV, &action, 0);
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    raise(SIGUSR1);
    printf("%d ", seen);
    sigprocmask(SIG_UNBLOCK, &set, 0);
    printf("%d ", seen);
    int value = sigsetjmp(back, 1);
    if (!value) *(volatile int *)8 = 1;
    printf("%d %d\n", value, seen);
    jmp_buf again;
    volatile int rounds = 0;
    if (setjmp(again) < 3) longjmp(again, ++rounds);
    printf("%d rounds\n", rounds);
}

int main(int count, char **arguments) {
    setlocale(LC_ALL, "C");
    streams();
    numbers();
    memory();
    sorting();
    threads();
    signals();
    printf("%d %s\n", count, count > 1 ? arguments[1] : "");
    return 3;
}
