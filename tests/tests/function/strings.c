/* What the string functions of an action make of many arguments, as text. As a program of this
 * computer, with ON_HOST, it prints what those of the C library do: both have to be the same. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef ON_HOST
#define ACTION_IMPLEMENTATION
#include "action.h"
#else
#define action_put(bytes, len) fwrite(bytes, 1, len, stdout)
#endif

static char line[512];

/* Of its own, so that no compiler works out what a format comes to. */
__attribute__((noinline)) static int print(char *to, size_t room, const char *format, ...) {
    int len;
    va_list arguments;
    va_start(arguments, format);
    len = vsnprintf(to, room, format, arguments);
    va_end(arguments);
    return len;
}

#define SHOW(...)                                                                                  \
    do {                                                                                           \
        action_put(line, (size_t)print(line, sizeof line, __VA_ARGS__));                           \
        action_put("\n", 1);                                                                       \
    } while (0)

static int sign(int number) {
    return (number > 0) - (number < 0);
}

/* Where something was found. */
static long at(const char *text, const void *found) {
    return found == NULL ? -1 : (long)((const char *)found - text);
}

static void strings(const char *text, const char *other) {
    char copy[16], joined[64];
    memset(copy, '#', sizeof copy);
    strncpy(copy, text, sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    strcpy(joined, text);
    strcat(joined, other);
    SHOW("[%s] [%s] %zu %zu %d %d %d", text, other, strlen(text), strnlen(text, 3),
         sign(strcmp(text, other)), sign(strncmp(text, other, 2)),
         sign(memcmp(text, other, strlen(text) < strlen(other) ? strlen(text) : strlen(other))));
    SHOW("%ld %ld %ld %ld %ld [%s] [%s]", at(text, strchr(text, 'l')), at(text, strrchr(text, 'l')),
         at(text, strchr(text, 0)), at(text, memchr(text, 'o', strlen(text))),
         at(text, strstr(text, other)), copy, joined);
}

static void number(const char *text, int base) {
    char *end;
    long value = strtol(text, &end, base);
    SHOW("%s in %d: %ld [%s]", text, base, value, end);
}

static void formats(int value, long wide, const char *text) {
    SHOW("%d %i %u %x %X %5d|%-5d|%05d|%.3d|%8.3d|%-8.3d|%08.3d", value, value, (unsigned)value,
         (unsigned)value, (unsigned)value, value, value, value, value, value, value, value);
    SHOW("%ld %lu %lx %lld %llx %zu %hd %hhd %hu %hhu", wide, (unsigned long)wide,
         (unsigned long)wide, (long long)wide, (unsigned long long)wide, (size_t)wide, (short)wide,
         (signed char)wide, (unsigned short)wide, (unsigned char)wide);
    SHOW("%s|%10s|%-10s|%.2s|%10.2s|%*s|%-*s|%.*s|%*s", text, text, text, text, text, 7, text, 7,
         text, 1, text, -7, text);
    SHOW("%c|%3c|%-3c|%%|%.0d|%x|%016lx|%lX", 'c', 'c', 'c', value, 0U, (unsigned long)wide,
         (unsigned long)wide);
}

static void all(void) {
    const char *texts[] = {"", "l", "hello", "hello, world", "lo", "world, hello", "\xff\x80"};
    const int values[] = {0, 1, -1, 42, -123456, INT_MAX, INT_MIN};
    const long wides[] = {0, -1, 255, 65536, -40000, LONG_MAX, LONG_MIN};
    char small[4];
    size_t i, j;
    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (j = 0; j < sizeof texts / sizeof *texts; j++) {
            strings(texts[i], texts[j]);
        }
        formats(values[i], wides[i], texts[i]);
    }
    number("42", 10);
    number(" \t-0x1Fg", 0);
    number("0755", 0);
    number("0x", 16);
    number("zz", 36);
    number("+9223372036854775807", 10);
    number("9223372036854775808", 10);
    number("-9223372036854775809x", 10);
    number("none", 10);
    number("", 0);
    SHOW("%d %d", atoi("17 and more"), atoi("-3"));
    i = (size_t)print(small, sizeof small, "%s", "too long");
    SHOW("%zu [%s] %d %d", i, small, print(NULL, 0, "%d", 12345),
         snprintf(line, sizeof line, "%c", 'x'));
}

#ifdef ON_HOST
int main(void) {
    all();
    return 0;
}
#else
int action_main(void) {
    all();
    return 0;
}
#endif
