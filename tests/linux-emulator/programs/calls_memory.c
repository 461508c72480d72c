/* Calls about memory, one line each: what they answer, and with which error. The output must be the
 * same here and on Linux, so nothing depends on where something was mapped. */
#define _GNU_SOURCE
#include "show.h"
#include <sys/mman.h>

#define PAGE 4096L
static char *arena; /* 64 pages in which everything happens at fixed places */

/* What each page of the arena allows, found out by asking Linux itself to read and write it. */
static void picture(const char *after) {
  static int pipes[2];
  if (!pipes[1]) pipe(pipes);
  printf("  %-28s", after);
  for (int page = 0; page < 32; page++) {
    char *at = arena + page * PAGE, byte;
    int readable = write(pipes[1], at, 1) == 1;
    if (readable) {
      /* Writing back what was read shows whether it may be written. */
      int writable = read(pipes[0], at, 1) == 1;
      if (!writable) read(pipes[0], &byte, 1);
      putchar(writable ? 'w' : 'r');
    } else {
      unsigned char state;
      putchar(mincore(at, PAGE, &state) == 0 ? '-' : '.');
    }
  }
  putchar('\n');
}

static long at(void *address) {
  long offset = (char *)address - arena;
  return address == MAP_FAILED ? -1 : offset >= 0 && offset < 64 * PAGE ? offset / PAGE : -2;
}

static void map(long page, long pages, int protection, int flags) {
  void *got = mmap(arena + page * PAGE, pages * PAGE, protection, flags, -1, 0);
  printf("mmap %ld+%ld prot %d flags %#x -> %ld %s\n", page, pages, protection, flags, at(got),
         got == MAP_FAILED ? strerrorname(errno) : "");
}

int main(void) {
  const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  arena = mmap(0, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SHOW(munmap(arena, 64 * PAGE));
  picture("nothing");
  map(2, 6, 3, fixed); picture("mapped");
  map(4, 1, 1, fixed); picture("one read-only");
  map(5, 1, 0, fixed); picture("one without access");
  map(3, 2, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE);
  map(8, 2, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE); picture("behind it");
  map(12, 1, 3, MAP_PRIVATE | MAP_ANONYMOUS); picture("hint taken");
  SHOW(munmap(arena + 3 * PAGE, 2 * PAGE)); picture("hole");
  SHOW(munmap(arena, 64 * PAGE)); picture("all gone");
  SHOW(munmap(arena + 1, PAGE));
  SHOW(munmap(arena, 0));
  SHOW(munmap((void *)-4096L, PAGE));
  SHOW(munmap(arena, -PAGE));
  for (int flags = 0; flags < 4; flags++)
    SHOW(mmap(0, PAGE, 3, flags | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
  SHOW(mmap(0, 0, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
  SHOW(mmap(0, -1UL, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
  SHOW(mmap(0, 1UL << 47, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED ? -1 : 0);
  SHOW(mmap(arena + 1, PAGE, 3, fixed, -1, 0) == MAP_FAILED ? -1 : 0);
  SHOW(mmap(0, PAGE, 3, MAP_PRIVATE, -1, 0) == MAP_FAILED ? -1 : 0);
  SHOW(mmap(0, PAGE, 3, MAP_PRIVATE, 99, 0) == MAP_FAILED ? -1 : 0);
  SHOW(mmap(0, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1) == MAP_FAILED ? -1 : 0);

  map(0, 8, 3, fixed);
  memset(arena, 7, 8 * PAGE);
  for (int protection = 0; protection < 4; protection++) {
    SHOW(mprotect(arena + 2 * PAGE, 2 * PAGE, protection)); picture("protected");
  }
  SHOW(mprotect(arena + 2 * PAGE, 2 * PAGE, 5));
  SHOW(mprotect(arena + 2 * PAGE, 2 * PAGE, 3));
  SHOW(mprotect(arena + 1, PAGE, 1));
  SHOW(mprotect(arena, 0, 1));
  SHOW(mprotect(arena, PAGE, 0x40));
  SHOW(mprotect(arena, PAGE + 1, 1)); picture("a byte into the next page");
  SHOW(mprotect(arena, 10 * PAGE, 3)); picture("past the end");
  SHOW(mprotect(arena + 20 * PAGE, PAGE, 3));

  SHOW(arena[3 * PAGE]);
  SHOW(madvise(arena + 3 * PAGE, PAGE, MADV_DONTNEED)); SHOW(arena[3 * PAGE]);
  SHOW(madvise(arena + 3 * PAGE + 1, PAGE, MADV_DONTNEED));
  SHOW(madvise(arena + 7 * PAGE, 3 * PAGE, MADV_DONTNEED)); SHOW(arena[7 * PAGE]);
  SHOW(madvise(arena, PAGE, MADV_NORMAL)); SHOW(madvise(arena, PAGE, MADV_WILLNEED));
  SHOW(madvise(arena, PAGE, 12345)); SHOW(madvise(arena, 0, MADV_DONTNEED));
  SHOW(madvise(arena + 30 * PAGE, PAGE, MADV_NORMAL));

  memset(arena, 9, 8 * PAGE);
  SHOW(at(mremap(arena, 8 * PAGE, 4 * PAGE, 0))); picture("shrunk");
  SHOW(at(mremap(arena, 4 * PAGE, 6 * PAGE, 0))); picture("grown");
  SHOW(arena[3 * PAGE]); SHOW(arena[5 * PAGE]);
  map(6, 1, 1, fixed);
  SHOW(at(mremap(arena, 6 * PAGE, 8 * PAGE, 0)));
  SHOW(at(mremap(arena, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, arena + 16 * PAGE)));
  picture("moved"); SHOW(arena[16 * PAGE]);
  SHOW(at(mremap(arena + 2 * PAGE, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, arena + 20 * PAGE)));
  picture("moved and grown"); SHOW(arena[21 * PAGE]); SHOW(arena[22 * PAGE]);
  SHOW(at(mremap(arena + 1, PAGE, PAGE, 0)));
  SHOW(at(mremap(arena + 16 * PAGE, PAGE, 0, 0)));
  SHOW(at(mremap(arena + 16 * PAGE, PAGE, PAGE, MREMAP_FIXED, arena)));
  SHOW(at(mremap(arena + 16 * PAGE, PAGE, PAGE, 64)));
  SHOW(at(mremap(arena + 40 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE)));
  SHOW(at(mremap(arena + 16 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, arena + 17 * PAGE)));

  SHOW(msync(arena + 16 * PAGE, PAGE, MS_SYNC)); SHOW(msync(arena + 50 * PAGE, PAGE, MS_SYNC));
  SHOW(mlock(arena + 16 * PAGE, PAGE)); SHOW(munlock(arena + 16 * PAGE, PAGE));
  unsigned char vector[4];
  SHOW(mincore(arena + 16 * PAGE, PAGE, vector)); SHOW(mincore(arena + 50 * PAGE, PAGE, vector));
  SHOW(mincore(arena + 1, PAGE, vector)); SHOW(mincore(arena + 16 * PAGE, PAGE, (void *)1));

  char *start = (char *)syscall(SYS_brk, 0);
  SHOW((char *)syscall(SYS_brk, start + 10000) - start);
  start[9999] = 1; SHOW(start[0]);
  SHOW((char *)syscall(SYS_brk, start + 5000) - start);
  SHOW((char *)syscall(SYS_brk, start + 10000) - start); SHOW(start[9999]);
  SHOW((char *)syscall(SYS_brk, 1) - start);
  SHOW((char *)syscall(SYS_brk, start) - start);
  return 0;
}
