// Calls at random, with arguments that lie: the input says which. However it ends, it has to be this
// program that ends, and not what serves its calls.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { CALLS = 3000, NUMBERS = 462, ARENA_LEN = 1 << 20, PAGE = 4096 };

static uint64_t state;
static char *arena;

static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// Without the C library, whose memory may be gone.
static long call(long number, const uint64_t *given) {
    register uint64_t r10 asm("r10") = given[3];
    register uint64_t r8 asm("r8") = given[4];
    register uint64_t r9 asm("r9") = given[5];
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(given[0]), "S"(given[1]), "d"(given[2]), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

static uint64_t below(uint64_t bound) { return draw() % bound; }

// What somebody who means harm would pass, and now and then something that makes sense.
static uint64_t argument(void) {
    static const uint64_t odd[] = {
        0, 1, 2, 3, 4095, 4096, -1ull, -2ull, -4095ull, -4096ull, 1ull << 31, 1ull << 32,
        (1ull << 47) - 1, 1ull << 47, (1ull << 47) - 4096, 1ull << 62, 1ull << 63, 0x7fffffff,
        0xffffffff, 0x80000000ffffffff, INT64_MAX, 0x10000, 0xffff,
        // Where what serves the calls is, where it reads the archive, and the kernel's windows.
        0x60000000, 0x60001000, 0x60100000, 0x6fffffff, 0x4000000000, 0x4000001000, 0x8000001000,
        0x8000101000, 0x8000110000, 0x8000211000, 0x8001000000, 0x8080000000, 0xffffffff80000000,
    };
    switch (below(8)) {
    case 0: return odd[below(sizeof odd / sizeof *odd)];
    case 1: return below(16);
    case 2: return below(ARENA_LEN);
    case 3: return (uint64_t)arena + below(ARENA_LEN);
    case 4: return (uint64_t)arena + below(ARENA_LEN / PAGE) * PAGE;
    case 5: return 1ull << below(64);
    case 6: return (uint64_t)arena + 64 * below(32);
    default: return odd[below(sizeof odd / sizeof *odd)] + below(3) - 1;
    }
}

// What would end it at once, or have it wait for ever in every other round.
static int is_left_out(long number, int sleeps) {
    static const long never[] = {SYS_exit, SYS_exit_group};
    static const long masks[] = {SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigsuspend,
                                 SYS_rt_sigreturn, SYS_sigaltstack, SYS_ppoll, SYS_pselect6,
                                 SYS_epoll_pwait, SYS_epoll_pwait2, SYS_rt_sigtimedwait,
                                 SYS_setitimer, SYS_alarm, SYS_clone, SYS_clone3};
    static const long waits[] = {SYS_nanosleep, SYS_clock_nanosleep, SYS_poll, SYS_select,
                                 SYS_epoll_wait, SYS_futex, SYS_pause, SYS_rt_sigsuspend,
                                 SYS_rt_sigtimedwait, SYS_ppoll, SYS_pselect6, SYS_epoll_pwait,
                                 SYS_epoll_pwait2, SYS_setitimer, SYS_alarm, SYS_timer_settime,
                                 SYS_timerfd_settime};
    static const long ends[] = {SYS_rt_sigreturn, SYS_clone, SYS_clone3, SYS_kill, SYS_tkill,
                                SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo};
    for (unsigned at = 0; at < sizeof ends / sizeof *ends; ++at)
        if (ends[at] == number && below(64)) return 1;
    for (unsigned at = 0; at < sizeof never / sizeof *never; ++at)
        if (never[at] == number) return 1;
    for (unsigned at = 0; sleeps && at < sizeof masks / sizeof *masks; ++at)
        if (masks[at] == number) return 1;
    for (unsigned at = 0; !sleeps && at < sizeof waits / sizeof *waits; ++at)
        if (waits[at] == number) return 1;
    return 0;
}

static void fill(void) {
    static const char *paths[] = {"/tmp/a", "/proc/self/maps", "/dev/zero", "b", "/tmp", "..", "",
                                  "/proc/self/fd/1", "/dev/stdin", "/tmp/a/b/c/d", "/etc/passwd"};
    for (int at = 0; at < 32; ++at) {
        char *record = arena + 64 * at;
        if (at % 4 == 0) strcpy(record, paths[below(sizeof paths / sizeof *paths)]);
        else if (at % 4 == 1) memset(record, 0, 64);
        else
            for (int word = 0; word < 8; ++word) ((uint64_t *)record)[word] = argument();
    }
}

int main(void) {
    char line[32] = "";
    read(0, line, sizeof line - 1);
    for (char *at = line; *at; ++at) state = state * 131 + (unsigned char)*at;
    state = state * 0x9e3779b97f4a7c15ull | 1;
    arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int sleeps = below(2);
    // Ends it where it waits for what never comes.
    struct itimerval soon = {{0, 0}, {0, 200000}};
    if (sleeps) setitimer(ITIMER_REAL, &soon, NULL);
    for (int round = 0; round < CALLS; ++round) {
        if (round % 16 == 0) {
            const uint64_t again[] = {(uint64_t)arena, ARENA_LEN, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0};
            call(SYS_mmap, again);
            fill();
        }
        long number = below(NUMBERS);
        uint64_t given[6];
        for (int at = 0; at < 6; ++at) given[at] = argument();
        // Or nothing of the program would be left soon.
        int unmaps = number == SYS_munmap || number == SYS_mprotect || number == SYS_mremap ||
                     number == SYS_madvise || number == SYS_mmap;
        if (unmaps && below(256)) {
            given[0] = (uint64_t)arena + below(ARENA_LEN / PAGE) * PAGE + !below(8);
            given[1] = below(2 * ARENA_LEN) >> below(12);
            given[4] = (uint64_t)arena + below(ARENA_LEN / PAGE) * PAGE;
        }
        if (!is_left_out(number, sleeps)) call(number, given);
    }
    return 0;
}
