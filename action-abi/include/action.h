/*
 * The contract between an action and the kernel, version 1, for C and C++.
 *
 * action-abi/src/lib.rs defines the contract; this header says the same and adds the little that a
 * freestanding program needs. A whole action:
 *
 *     #define ACTION_IMPLEMENTATION // in exactly one file
 *     #include "action.h"
 *
 *     int action_main(void) {
 *         action_put_text("{\"greeting\":\"Hello!\"}");
 *         return 0; // the exit status
 *     }
 *
 * Of the C library there are the functions that action_string.h lists, by including <string.h> and
 * <stdio.h>. What wants more of it is a Linux program.
 *
 * built with
 *
 *     cc -Os -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fno-pie \
 *        -nostdlib -static -no-pie -Wl,--build-id=none,-z,noexecstack,-z,norelro,-z,separate-code \
 *        -I action-abi/include hello.c -o hello
 *
 * Memory as the action finds it; every address is in the context:
 *
 *     image      as its program headers say      input         read-only
 *     heap       read-write, zeroed              output        read-write, zeroed
 *     stack      below it an unmapped page       environment   read-only
 */
#ifndef ACTION_H
#define ACTION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the contract. An image whose note names another one is refused at deploy. */
#define ACTION_ABI_VERSION 1
/* Smallest unit of memory to map, unmap or protect. */
#define ACTION_PAGE_LEN 4096
/* Segments of an image lie in ACTION_IMAGE_START..ACTION_IMAGE_END. */
#define ACTION_IMAGE_START UINT64_C(0x10000)
#define ACTION_IMAGE_END UINT64_C(0x8000000000)

/* Numbers of the calls; see the functions below for what they do. */
enum action_call_number {
    ACTION_CALL_EXIT = 0,
    ACTION_CALL_LOG = 1,
    ACTION_CALL_WRITE = 2,
    ACTION_CALL_MAP = 3,
    ACTION_CALL_UNMAP = 4,
    ACTION_CALL_PROTECT = 5,
    ACTION_CALL_FLUSH = 15
};

/* Which log a line belongs to. */
enum action_stream {
    ACTION_STDOUT = 1,
    ACTION_STDERR = 2
};

/* Permissions of mapped memory, to be combined. Write and execute at once is refused. */
enum action_protection {
    ACTION_READ = 1,
    ACTION_WRITE = 2,
    ACTION_EXECUTE = 4
};

/* Why a call was refused; a call returns the negated number. */
enum action_error {
    ACTION_ERROR_UNKNOWN_CALL = 1,  /* no call has that number */
    ACTION_ERROR_BAD_ADDRESS = 2,   /* the range is not mapped with the permission needed */
    ACTION_ERROR_BAD_ARGUMENT = 3,  /* zero length, unaligned address, bad protection or stream */
    ACTION_ERROR_OUT_OF_MEMORY = 4, /* the memory limit does not cover the request */
    ACTION_ERROR_LIMIT_REACHED = 5  /* longest result, number of mappings */
};

/* A range of memory: first byte and length in bytes. Length 0 means that there is none. */
struct action_range {
    uint64_t address;
    uint64_t len;
};

/* How to turn the time stamp counter into time; see action_now_ns. */
struct action_clock {
    uint64_t start_cycles;  /* counter when the invocation started */
    uint64_t start_ns;      /* monotonic time of the node at that moment */
    uint64_t scale;         /* nanoseconds per cycle, 32.32 fixed point */
    uint64_t start_wall_ns; /* time since 1970-01-01 UTC at that moment; 0 if unknown */
};

/* What the kernel tells an action. Fields are only ever appended. */
struct action_context {
    uint32_t version;                /* ACTION_ABI_VERSION of the kernel */
    uint32_t len;                    /* bytes of this structure, as the kernel knows it */
    struct action_range input;       /* the request body, read-only */
    struct action_range output;      /* the output window, read-write, zeroed */
    struct action_range environment; /* NAME=value strings, each ended by a NUL byte */
    struct action_range heap;        /* the heap window, read-write, zeroed */
    struct action_range stack;
    uint64_t memory_limit;           /* bytes, page tables included */
    uint64_t deadline_ns;            /* when the invocation is ended, on the scale of the clock */
    struct action_clock clock;
    uint8_t random_seed[32];         /* fresh for this invocation */
};

#ifdef __cplusplus
#define ACTION_STATIC_ASSERT(condition) static_assert(condition, "layout of the contract")
#else
#define ACTION_STATIC_ASSERT(condition) _Static_assert(condition, "layout of the contract")
#endif
ACTION_STATIC_ASSERT(sizeof(struct action_clock) == 32);
ACTION_STATIC_ASSERT(offsetof(struct action_context, input) == 8);
ACTION_STATIC_ASSERT(offsetof(struct action_context, memory_limit) == 88);
ACTION_STATIC_ASSERT(offsetof(struct action_context, clock) == 104);
ACTION_STATIC_ASSERT(sizeof(struct action_context) == 168);

/* The context of this invocation. Set before action_main runs. */
extern const struct action_context *action_context;
/* Bytes of the output window that are result so far. */
extern size_t action_output_len;

/* The program: returns its exit status, 0 for success. */
int action_main(void);

/* Makes a call. Returns its result, or minus an action_error. rcx and r11 are overwritten. */
static inline int64_t action_call(uint64_t number, uint64_t first, uint64_t second,
                                  uint64_t third) {
    int64_t result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

/* Ends the invocation. The result is what action_write appended; if that is nothing, the first
 * output_len bytes of the output window. */
__attribute__((noreturn)) static inline void action_exit(int status, size_t output_len) {
    (void)action_call(ACTION_CALL_EXIT, (uint64_t)(uint32_t)status, output_len, 0);
    __builtin_trap();
}

/* Appends bytes to the log; no newline is added. Returns how many were kept (the log is bounded,
 * and what is over the bound is dropped) or minus an action_error. */
static inline int64_t action_log(const void *bytes, size_t len, enum action_stream stream) {
    return action_call(ACTION_CALL_LOG, (uint64_t)(uintptr_t)bytes, len, (uint64_t)stream);
}

/* Appends bytes to the result by a call, for those who do not use the output window.
 * Returns len or minus an action_error. */
static inline int64_t action_write(const void *bytes, size_t len) {
    return action_call(ACTION_CALL_WRITE, (uint64_t)(uintptr_t)bytes, len, 0);
}

/* Lets what action_write appended leave, or else the first output_len bytes of the output window,
 * if the action was deployed with the annotation stream. Never waits. Returns how many bytes have
 * left, or minus an action_error. */
static inline int64_t action_flush(size_t output_len) {
    return action_call(ACTION_CALL_FLUSH, output_len, 0, 0);
}

/* Maps zeroed memory, len rounded up to pages. Returns its address or minus an action_error. */
static inline int64_t action_map(size_t len, unsigned protection) {
    return action_call(ACTION_CALL_MAP, len, protection, 0);
}

/* Removes whole pages that action_map returned. Returns 0 or minus an action_error. */
static inline int64_t action_unmap(void *address, size_t len) {
    return action_call(ACTION_CALL_UNMAP, (uint64_t)(uintptr_t)address, len, 0);
}

/* Changes the protection of whole mapped pages. Returns 0 or minus an action_error. */
static inline int64_t action_protect(void *address, size_t len, unsigned protection) {
    return action_call(ACTION_CALL_PROTECT, (uint64_t)(uintptr_t)address, len, protection);
}

/* The input: action_input_len() bytes, not ended by a NUL. */
static inline const char *action_input(void) {
    return (const char *)(uintptr_t)action_context->input.address;
}

static inline size_t action_input_len(void) {
    return (size_t)action_context->input.len;
}

/* Appends bytes to the result in the output window, without a call.
 * Returns 0, or -1 and appends nothing if they do not fit. */
static inline int action_put(const void *bytes, size_t len) {
    const char *from = (const char *)bytes;
    char *to = (char *)(uintptr_t)action_context->output.address + action_output_len;
    size_t i;
    if (len > action_context->output.len - action_output_len) {
        return -1;
    }
    for (i = 0; i < len; i++) {
        to[i] = from[i];
    }
    action_output_len += len;
    return 0;
}

/* As action_put, for a string ended by a NUL, which is not appended. */
static inline int action_put_text(const char *text) {
    size_t len = 0;
    while (text[len] != 0) {
        len++;
    }
    return action_put(text, len);
}

/* The environment variable of this name, ended by a NUL, or NULL. */
static inline const char *action_env(const char *name) {
    const char *at = (const char *)(uintptr_t)action_context->environment.address;
    const char *end = at + action_context->environment.len;
    while (at < end) {
        size_t i = 0;
        while (name[i] != 0 && at + i < end && at[i] == name[i]) {
            i++;
        }
        if (name[i] == 0 && at + i < end && at[i] == '=') {
            return at + i + 1;
        }
        while (at < end && *at != 0) {
            at++;
        }
        at++;
    }
    return NULL;
}

/*
 * HTTP, for actions with the annotation `cgi`: action_env("REQUEST_METHOD"), "PATH_INFO",
 * "QUERY_STRING", "CONTENT_TYPE" and action_header say what is asked; the result begins with
 *
 *     action_put_status(404);
 *     action_put_header("Content-Type", "text/html");
 *     action_end_headers();
 *     action_put_text("<p>Nothing here.");
 */

/* The header field of this name, in upper case and with underscores: "USER_AGENT". Or NULL. */
static inline const char *action_header(const char *name) {
    char variable[128] = "HTTP_";
    size_t i = 0;
    while (name[i] != 0 && i < sizeof variable - 6) {
        variable[5 + i] = name[i];
        i++;
    }
    return name[i] == 0 ? action_env(variable) : NULL;
}

/* Appends the status, from 200 to 599. Without it the status is 200. */
static inline int action_put_status(int status) {
    char line[] = "Status: 000\n";
    line[8] = (char)('0' + status / 100 % 10);
    line[9] = (char)('0' + status / 10 % 10);
    line[10] = (char)('0' + status % 10);
    return action_put(line, sizeof line - 1);
}

/* Appends a header field. Control characters become spaces, so that a value cannot end its line. */
static inline int action_put_header(const char *name, const char *value) {
    size_t start = action_output_len, at;
    char *output = (char *)(uintptr_t)action_context->output.address;
    if (action_put_text(name) != 0 || action_put(": ", 2) != 0 || action_put_text(value) != 0 ||
        action_put("\n", 1) != 0) {
        action_output_len = start;
        return -1;
    }
    for (at = start; at < action_output_len - 1; at++) {
        if ((unsigned char)output[at] < ' ' || output[at] == 127) {
            output[at] = ' ';
        }
    }
    return 0;
}

/* Ends the header fields; what is appended after it is the body. */
static inline int action_end_headers(void) {
    return action_put("\n", 1);
}

__extension__ typedef unsigned __int128 action_u128;

/* Monotonic time since the node booted, in nanoseconds. */
static inline uint64_t action_now_ns(void) {
    const struct action_clock *clock = &action_context->clock;
    uint32_t low, high;
    uint64_t cycles;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    cycles = ((uint64_t)high << 32 | low) - clock->start_cycles;
    return clock->start_ns + (uint64_t)(((action_u128)cycles * clock->scale) >> 32);
}

#ifdef ACTION_IMPLEMENTATION

const struct action_context *action_context;
size_t action_output_len;

/* The note that marks the program as an action, and the entry point. The kernel passes the context
 * in rdi and a stack aligned to 16 bytes, so a call is all the alignment there is to do. */
__asm__(".pushsection .note.hostkernel, \"a\", @note\n"
        ".balign 4\n"
        ".long 11, 4, 1\n" /* length of the name with its NUL, of the version; type of the note */
        ".asciz \"hostkernel\"\n"
        ".balign 4\n"
        ".long 1\n" /* ACTION_ABI_VERSION */
        ".popsection\n"
        ".pushsection .text\n"
        ".globl _start\n"
        ".type _start, @function\n"
        "_start:\n"
        "call action_start\n"
        "ud2\n"
        ".popsection\n");

/* Constructors of static objects, in the order in which the linker put them (System V ABI,
 * "Initialization and Termination Functions"). Their destructors never run: the node takes the
 * memory back whole. */
typedef void (*action_constructor)(int, char **, char **);
extern const action_constructor __preinit_array_start[] __attribute__((weak, visibility("hidden")));
extern const action_constructor __preinit_array_end[] __attribute__((weak, visibility("hidden")));
extern const action_constructor __init_array_start[] __attribute__((weak, visibility("hidden")));
extern const action_constructor __init_array_end[] __attribute__((weak, visibility("hidden")));

static void action_construct(const action_constructor *at, const action_constructor *end) {
    char *none[] = {NULL};
    for (; at < end; at++) {
        (*at)(0, none, none);
    }
}

__attribute__((noreturn, used)) void action_start(const struct action_context *context) {
    int status;
    action_context = context;
    action_construct(__preinit_array_start, __preinit_array_end);
    action_construct(__init_array_start, __init_array_end);
    status = action_main();
    action_exit(status, action_output_len);
}

#ifdef __cplusplus
/* What compilers call for static objects (Itanium C++ ABI, sections 2.6, 3.2.6 and 3.3). There is
 * one thread, and no end at which something could be destroyed. */
__attribute__((weak)) void *__dso_handle;

__attribute__((weak)) int __cxa_atexit(void (*)(void *), void *, void *) {
    return 0;
}

__attribute__((weak)) int __cxa_guard_acquire(uint64_t *guard) {
    return *(const char *)guard == 0;
}

__attribute__((weak)) void __cxa_guard_release(uint64_t *guard) {
    *(char *)guard = 1;
}

__attribute__((weak, noreturn)) void __cxa_pure_virtual(void) {
    __builtin_trap();
}
#endif

/* Compilers call these by name even in a freestanding program. Weak, so that better ones win. The
 * string instructions keep a compiler from turning a loop into a call to the function itself. */
__attribute__((weak)) void *memcpy(void *to, const void *from, size_t len) {
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
    return to;
}

__attribute__((weak)) void *memmove(void *to, const void *from, size_t len) {
    if ((uintptr_t)to - (uintptr_t)from >= len) {
        return memcpy(to, from, len);
    }
    {
        char *at = (char *)to + len - 1;
        const char *last = (const char *)from + len - 1;
        __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(at), "+S"(last), "+c"(len) : : "memory");
    }
    return to;
}

__attribute__((weak)) void *memset(void *to, int value, size_t len) {
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(value) : "memory");
    return to;
}

__attribute__((weak)) int memcmp(const void *left, const void *right, size_t len) {
    const unsigned char *a = (const unsigned char *)left, *b = (const unsigned char *)right;
    size_t i;
    for (i = 0; i < len; i++) {
        if (a[i] != b[i]) {
            return a[i] - b[i];
        }
    }
    return 0;
}

#endif /* ACTION_IMPLEMENTATION */

#ifdef __cplusplus
}
#endif

#ifdef ACTION_IMPLEMENTATION
#include "action_string.h"
#endif

#endif /* ACTION_H */
