// Files that are mapped to be shared: memory, reads and writes agree.
#define _GNU_SOURCE
#include "show.h"
#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void) {
    char text[16] = "";
    int fd = open("/tmp/shared", O_RDWR | O_CREAT | O_TRUNC, 0600);
    SHOW(write(fd, "0123456789", 10));
    char *all = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SHOW(all == MAP_FAILED);
    SHOW(memcmp(all, "0123456789\0", 11));
    all[3] = 'x';
    SHOW(pread(fd, text, 10, 0));
    printf("%s\n", text);
    SHOW(pwrite(fd, "yz", 2, 5));
    printf("%.10s\n", all);
    // What is written behind the end is in no file.
    all[12] = '!';
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(ftruncate(fd, 4096));
    all[4000] = 'e';
    SHOW(pread(fd, text, 1, 4000));
    printf("%c\n", text[0]);
    char *only = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    SHOW(memcmp(only, all, 10));
    SHOW(pwrite(fd, "AB", 2, 0));
    printf("%.4s %.4s\n", all, only);
    all[1] = 'C';
    SHOW(msync(all, 4096, MS_SYNC));
    SHOW(munmap(all, 8192));
    SHOW(close(fd));
    fd = open("/tmp/shared", O_RDONLY);
    SHOW(read(fd, text, 10));
    printf("%s %.4s\n", text, only);
    SHOW(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    char *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    copy[0] = 'p';
    SHOW(pread(fd, text, 1, 0));
    printf("%c\n", text[0]);
    SHOW(unlink("/tmp/shared"));
    printf("%.4s\n", only);
    sem_t *semaphore = sem_open("/shared", O_CREAT | O_EXCL, 0600, 1);
    SHOW(semaphore == SEM_FAILED);
    SHOW(sem_wait(semaphore));
    SHOW(sem_trywait(semaphore));
    SHOW(sem_post(semaphore));
    SHOW(sem_unlink("/shared"));
    return 0;
}
