/* The functions of <string.h>, and snprintf and strtol, that C programs take for granted.
 *
 * action.h includes this file where ACTION_IMPLEMENTATION is defined; what declares the functions
 * are <string.h>, <stdio.h> and <stdlib.h>, which every compiler has. There are
 *
 *     memchr strlen strnlen strcmp strncmp strchr strrchr strstr strcpy strncpy strcat
 *     snprintf vsnprintf    %d %i %u %x %X %c %s %p %%, with - 0 width .precision * and h l ll z
 *     strtol                also by the name atoi
 *
 * beside memcpy, memmove, memset and memcmp. A program that wants more of C, malloc and numbers
 * with a point among it, is a Linux program: link it statically, and deploy it as it is.
 *
 * All are weak, so that better ones win. They have other names in this file, since headers of C++
 * declare some of them in ways of their own. ACTION_STEP keeps compilers from making of a loop a
 * call to the very function that it is in.
 */
#ifndef ACTION_STRING_H
#define ACTION_STRING_H

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define ACTION_STEP() __asm__ volatile("")
#define ACTION_KNOWN_AS(name) __asm__(name) __attribute__((weak))

#ifdef __cplusplus
extern "C" {
#endif

size_t action_strnlen(const char *, size_t) ACTION_KNOWN_AS("strnlen");
size_t action_strlen(const char *) ACTION_KNOWN_AS("strlen");
void *action_memchr(const void *, int, size_t) ACTION_KNOWN_AS("memchr");
int action_strncmp(const char *, const char *, size_t) ACTION_KNOWN_AS("strncmp");
int action_strcmp(const char *, const char *) ACTION_KNOWN_AS("strcmp");
char *action_strchr(const char *, int) ACTION_KNOWN_AS("strchr");
char *action_strrchr(const char *, int) ACTION_KNOWN_AS("strrchr");
char *action_strstr(const char *, const char *) ACTION_KNOWN_AS("strstr");
char *action_strncpy(char *, const char *, size_t) ACTION_KNOWN_AS("strncpy");
char *action_strcpy(char *, const char *) ACTION_KNOWN_AS("strcpy");
char *action_strcat(char *, const char *) ACTION_KNOWN_AS("strcat");
long action_strtol(const char *, char **, int) ACTION_KNOWN_AS("strtol");
int action_atoi(const char *) ACTION_KNOWN_AS("atoi");
int action_vsnprintf(char *, size_t, const char *, va_list) ACTION_KNOWN_AS("vsnprintf");
int action_snprintf(char *, size_t, const char *, ...) ACTION_KNOWN_AS("snprintf");

size_t action_strnlen(const char *text, size_t max) {
    size_t len = 0;
    while (len < max && text[len] != 0) {
        ACTION_STEP();
        len++;
    }
    return len;
}

size_t action_strlen(const char *text) {
    return action_strnlen(text, SIZE_MAX);
}

void *action_memchr(const void *bytes, int byte, size_t len) {
    const unsigned char *at = (const unsigned char *)bytes;
    for (; len > 0; at++, len--) {
        ACTION_STEP();
        if (*at == (unsigned char)byte) {
            return (void *)(uintptr_t)at;
        }
    }
    return NULL;
}

int action_strncmp(const char *left, const char *right, size_t max) {
    size_t i;
    for (i = 0; i < max; i++) {
        int difference = (unsigned char)left[i] - (unsigned char)right[i];
        if (difference != 0 || left[i] == 0) {
            return difference;
        }
    }
    return 0;
}

int action_strcmp(const char *left, const char *right) {
    return action_strncmp(left, right, SIZE_MAX);
}

char *action_strchr(const char *text, int letter) {
    return (char *)action_memchr(text, letter, action_strlen(text) + 1);
}

char *action_strrchr(const char *text, int letter) {
    size_t at = action_strlen(text) + 1;
    while (at-- > 0) {
        if (text[at] == (char)letter) {
            return (char *)(uintptr_t)(text + at);
        }
    }
    return NULL;
}

char *action_strstr(const char *text, const char *part) {
    size_t len = action_strlen(part);
    for (;; text++) {
        if (action_strncmp(text, part, len) == 0) {
            return (char *)(uintptr_t)text;
        }
        if (*text == 0) {
            return NULL;
        }
    }
}

char *action_strncpy(char *to, const char *from, size_t len) {
    size_t i = 0;
    for (; i < len && from[i] != 0; i++) {
        ACTION_STEP();
        to[i] = from[i];
    }
    for (; i < len; i++) {
        ACTION_STEP();
        to[i] = 0;
    }
    return to;
}

char *action_strcpy(char *to, const char *from) {
    return action_strncpy(to, from, action_strlen(from) + 1);
}

char *action_strcat(char *to, const char *from) {
    action_strcpy(to + action_strlen(to), from);
    return to;
}

/* The value of a digit; one that no base has if it is none. */
static int action_digit(char letter) {
    if (letter >= '0' && letter <= '9') {
        return letter - '0';
    }
    letter = (char)(letter | 0x20);
    return letter >= 'a' && letter <= 'z' ? letter - 'a' + 10 : INT_MAX;
}

/* Bases 0 and 2 to 36. A number that is too large becomes the largest there is; errno does not
 * exist. */
long action_strtol(const char *text, char **end, int base) {
    const char *at = text, *digits;
    unsigned long value = 0, max;
    int negative;
    while (*at == ' ' || (*at >= '\t' && *at <= '\r')) {
        at++;
    }
    negative = *at == '-';
    at += *at == '-' || *at == '+';
    if ((base == 0 || base == 16) && at[0] == '0' && (at[1] | 0x20) == 'x' &&
        action_digit(at[2]) < 16) {
        at += 2;
        base = 16;
    }
    base = base != 0 ? base : *at == '0' ? 8 : 10;
    max = (unsigned long)LONG_MAX + (unsigned long)negative;
    for (digits = at; action_digit(*at) < base; at++) {
        unsigned long digit = (unsigned long)action_digit(*at);
        value = value > (max - digit) / (unsigned long)base ? max
                                                            : value * (unsigned long)base + digit;
    }
    if (end != NULL) {
        *end = (char *)(uintptr_t)(at > digits ? at : text);
    }
    return (long)(negative ? 0 - value : value);
}

int action_atoi(const char *text) {
    return (int)action_strtol(text, NULL, 10);
}

/* Text under way: what does not fit is counted and not written. */
struct action_text {
    char *to;
    size_t room, len;
};

/* How one value is to be written. */
struct action_form {
    int is_left, is_zero_filled, width, precision; /* no precision: -1 */
    int size; /* of an integer: -2 for hh, -1 for h, 1 for l and z, 2 for ll */
};

static void action_text_put(struct action_text *text, char letter) {
    if (text->len + 1 < text->room) {
        text->to[text->len] = letter;
    }
    text->len++;
}

static void action_text_fill(struct action_text *text, char letter, int count) {
    for (; count > 0; count--) {
        action_text_put(text, letter);
    }
}

/* A sign or prefix, zeros, and the rest, in a field. */
static void action_text_field(struct action_text *text, const struct action_form *form,
                              const char *prefix, int zeros, const char *rest, int rest_len) {
    int prefix_len = (int)action_strlen(prefix);
    int blanks = form->width - prefix_len - zeros - rest_len, i;
    if (form->is_zero_filled && blanks > 0) {
        zeros += blanks;
        blanks = 0;
    }
    action_text_fill(text, ' ', form->is_left ? 0 : blanks);
    for (i = 0; i < prefix_len; i++) {
        action_text_put(text, prefix[i]);
    }
    action_text_fill(text, '0', zeros);
    for (i = 0; i < rest_len; i++) {
        action_text_put(text, rest[i]);
    }
    action_text_fill(text, ' ', form->is_left ? blanks : 0);
}

static void action_text_number(struct action_text *text, const struct action_form *form,
                               const char *prefix, unsigned long long value, unsigned base,
                               char ten) {
    struct action_form own = *form;
    char digits[24];
    int at = (int)sizeof digits, len;
    for (; value != 0; value /= base) {
        unsigned digit = (unsigned)(value % base);
        digits[--at] = (char)(digit < 10 ? '0' + digit : (unsigned)ten + digit - 10);
    }
    len = (int)sizeof digits - at;
    /* Zero has a digit unless none is asked for; who asks for digits is not filled with zeros. */
    own.is_zero_filled = form->is_zero_filled && !form->is_left && form->precision < 0;
    at = form->precision < 0 ? 1 : form->precision;
    action_text_field(text, &own, prefix, at > len ? at - len : 0,
                      digits + sizeof digits - (size_t)len, len);
}

/* An argument as the number that its size says it is. */
static unsigned long long action_text_sized(unsigned long long value, int size, int is_signed) {
    switch (size) {
    case -2:
        return is_signed ? (unsigned long long)(signed char)value : (unsigned char)value;
    case -1:
        return is_signed ? (unsigned long long)(short)value : (unsigned short)value;
    case 0:
        return is_signed ? (unsigned long long)(int)value : (unsigned int)value;
    default:
        return value;
    }
}

/* A number of a format: an argument for *, or digits. */
static const char *action_text_count(const char *at, va_list *arguments, int *count) {
    if (*at == '*') {
        *count = va_arg(*arguments, int);
        return at + 1;
    }
    for (*count = 0; *at >= '0' && *at <= '9'; at++) {
        *count = *count * 10 + (*at - '0');
    }
    return at;
}

/* The form behind a %, up to the letter that says what is written. */
static const char *action_text_form(const char *at, va_list *arguments, struct action_form *form) {
    form->is_left = form->is_zero_filled = form->size = 0;
    form->precision = -1;
    for (; *at == '-' || *at == '0'; at++) {
        form->is_left |= *at == '-';
        form->is_zero_filled |= *at == '0';
    }
    at = action_text_count(at, arguments, &form->width);
    if (form->width < 0) {
        form->is_left = 1;
        form->width = -form->width;
    }
    if (*at == '.') {
        at = action_text_count(at + 1, arguments, &form->precision);
    }
    for (; *at == 'h' || *at == 'l' || *at == 'z'; at++) {
        form->size += *at == 'h' ? -1 : 1;
    }
    return at;
}

/* One value; returns 0 for a letter that is not known. */
static int action_text_value(struct action_text *text, char letter, struct action_form *form,
                             va_list *arguments) {
    unsigned long long value;
    const char *word;
    char character;
    switch (letter) {
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
        value = form->size > 0 ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned);
        value = action_text_sized(value, form->size, letter == 'd' || letter == 'i');
        if ((letter == 'd' || letter == 'i') && (long long)value < 0) {
            action_text_number(text, form, "-", 0 - value, 10, 'a');
        } else {
            action_text_number(text, form, "", value, (letter | 0x20) == 'x' ? 16 : 10,
                               letter == 'X' ? 'A' : 'a');
        }
        return 1;
    case 'p':
        value = (uintptr_t)va_arg(*arguments, void *);
        action_text_number(text, form, "0x", value, 16, 'a');
        return 1;
    case 's':
        word = va_arg(*arguments, const char *);
        word = word != NULL ? word : "(null)";
        form->is_zero_filled = 0;
        action_text_field(text, form, "", 0, word,
                          (int)action_strnlen(word, form->precision < 0 ? (size_t)INT_MAX
                                                                        : (size_t)form->precision));
        return 1;
    case 'c':
        character = (char)va_arg(*arguments, int);
        form->is_zero_filled = 0;
        action_text_field(text, form, "", 0, &character, 1);
        return 1;
    case '%':
        action_text_put(text, '%');
        return 1;
    default:
        return 0;
    }
}

/* Writes at most room bytes, the NUL among them. Returns how long the text is without the bound.
 * What stands behind % and is not known stays as it is. */
int action_vsnprintf(char *to, size_t room, const char *format, va_list arguments) {
    struct action_text text = {to, room, 0};
    va_list rest;
    va_copy(rest, arguments);
    for (; *format != 0; format++) {
        struct action_form form;
        const char *letter;
        if (*format != '%') {
            action_text_put(&text, *format);
            continue;
        }
        letter = action_text_form(format + 1, &rest, &form);
        if (!action_text_value(&text, *letter, &form, &rest)) {
            action_text_put(&text, '%');
            continue;
        }
        format = letter;
    }
    va_end(rest);
    if (room > 0) {
        to[text.len < room ? text.len : room - 1] = 0;
    }
    return (int)text.len;
}

int action_snprintf(char *to, size_t room, const char *format, ...) {
    int len;
    va_list arguments;
    va_start(arguments, format);
    len = action_vsnprintf(to, room, format, arguments);
    va_end(arguments);
    return len;
}

#ifdef __cplusplus
}
#endif

#endif /* ACTION_STRING_H */
