// Two threads that wait for pipes into which nobody writes.
#include <pthread.h>
#include <unistd.h>

static int ends[2][2];

static void *reader(void *pipe) {
    char byte;
    read(((int *)pipe)[0], &byte, 1);
    return 0;
}

int main(void) {
    pthread_t thread;
    pipe(ends[0]);
    pipe(ends[1]);
    pthread_create(&thread, 0, reader, ends[0]);
    reader(ends[1]);
    return 0;
}
