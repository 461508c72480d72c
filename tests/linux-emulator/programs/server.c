// A small web server that can wait for connections in every way there is. Its first argument says
// in which; the path of a request says how it is answered.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void out(int to, const char *text) {
    size_t len = strlen(text);
    if (send(to, text, len, MSG_NOSIGNAL) != (ssize_t)len) perror("send");
}

// Reads a request: its head, and as much body as that says.
static char *request(int from, int *len) {
    static char bytes[1 << 20];
    int have = 0, want = -1;
    while (want < 0 || have < want) {
        int part = recv(from, bytes + have, sizeof bytes - 1 - have, 0);
        if (part < 0 && errno == EAGAIN) {
            struct pollfd one = {.fd = from, .events = POLLIN};
            poll(&one, 1, -1);
            continue;
        }
        if (part <= 0) break;
        have += part;
        bytes[have] = 0;
        char *end = strstr(bytes, "\r\n\r\n");
        if (end && want < 0) {
            char *field = strcasestr(bytes, "\r\nContent-Length:");
            want = end + 4 - bytes + (field ? atoi(field + 17) : 0);
        }
    }
    *len = have;
    return bytes;
}

static void answer(int to) {
    int len;
    char *text = request(to, &len), method[16] = "", path[64] = "";
    sscanf(text, "%15s %63s", method, path);
    char head[256];
    if (!strcmp(path, "/chunked")) {
        out(to, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: chunks\r\n\r\n");
        out(to, "5\r\nhello\r\n");
        out(to, "6;ext=1\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n");
    } else if (!strcmp(path, "/close")) {
        out(to, "HTTP/1.0 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nuntil the end\n");
    } else if (!strcmp(path, "/continue")) {
        out(to, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n");
        out(to, "Location: /there\r\nContent-Length: 4\r\n\r\nmade");
    } else if (!strcmp(path, "/empty")) {
        out(to, "HTTP/1.1 204 No Content\r\nX-Kind: empty\r\n\r\n");
    } else if (!strcmp(path, "/silence")) {
    } else if (!strcmp(path, "/half")) {
        out(to, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    } else if (!strcmp(path, "/nonsense")) {
        out(to, "+PONG\r\n\r\n");
    } else if (!strcmp(path, "/exit")) {
        exit(3);
    } else if (!strcmp(path, "/leave")) {
        exit(0);
    } else if (!strcmp(path, "/crash")) {
        *(volatile int *)8 = 1;
    } else if (!strcmp(path, "/wait")) {
        select(0, 0, 0, 0, 0);
    } else if (!strcmp(path, "/long")) {
        static char many[1 << 16];
        out(to, "HTTP/1.1 200 OK\r\n\r\n");
        for (int i = 0; i < 2000; i++) send(to, many, sizeof many, MSG_NOSIGNAL);
    } else if (!strcmp(path, "/after")) {
        out(to, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        for (volatile long i = 0;; i++) {}
    } else if (!strcmp(path, "/count")) {
        static int count;
        FILE *note = fopen("/tmp/note", "a");
        fprintf(note, "x");
        snprintf(head, sizeof head, "HTTP/1.0 200 OK\r\n\r\ncount %d, note of %ld, %s", ++count,
                 ftell(note), strrchr(text, '\n') + 1);
        fclose(note);
        out(to, head);
    } else if (!strcmp(path, "/keep")) {
        out(to, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nkept");
        return;
    } else {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        getpeername(to, (struct sockaddr *)&peer, &size);
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n",
                 strcmp(method, "HEAD") ? len + 1 : 1234);
        struct iovec pieces[3] = {{head, strlen(head)}, {text, len}, {"\n", 1}};
        writev(to, pieces, strcmp(method, "HEAD") ? 3 : 1);
        fprintf(stderr, "family %d %s\n", peer.ss_family, method);
    }
    close(to);
}

static void *answer_in_thread(void *to) {
    answer((int)(intptr_t)to);
    return 0;
}

static int listener(int flags) {
    const char *port = getenv("PORT");
    int yes = 1, on = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 8080)};
    setsockopt(on, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(on, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (bind(on, (struct sockaddr *)&at, sizeof at) || listen(on, 128)) {
        perror("listen");
        exit(1);
    }
    return on;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "accept";
    int on = listener(strcmp(mode, "edge") ? 0 : SOCK_NONBLOCK), watch = -1;
    printf("listening\n");
    fflush(stdout);
    if (!strcmp(mode, "epoll") || !strcmp(mode, "edge")) {
        struct epoll_event event = {.events = EPOLLIN | (*mode == 'e' && mode[1] == 'd' ? EPOLLET : 0)};
        watch = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(watch, EPOLL_CTL_ADD, on, &event);
    }
    for (int left = 3; left > 0 && !strcmp(mode, "glance"); left--) {
        // Something is to be done before it waits, as by event loops.
        struct pollfd one = {.fd = on, .events = POLLIN};
        printf("glance %d\n", poll(&one, 1, 0));
        fflush(stdout);
    }
    for (;;) {
        if (!strcmp(mode, "poll")) {
            struct pollfd one = {.fd = on, .events = POLLIN};
            if (poll(&one, 1, 500) < 1) continue;
        } else if (!strcmp(mode, "select")) {
            fd_set set;
            FD_ZERO(&set);
            FD_SET(on, &set);
            if (select(on + 1, &set, 0, 0, 0) < 1) continue;
        } else if (watch >= 0) {
            struct epoll_event event;
            if (epoll_wait(watch, &event, 1, -1) < 1) continue;
        }
        int to = accept4(on, 0, 0, strcmp(mode, "edge") ? 0 : SOCK_NONBLOCK);
        if (to < 0) continue;
        if (!strcmp(mode, "threads")) {
            pthread_t thread;
            pthread_create(&thread, 0, answer_in_thread, (void *)(intptr_t)to);
            pthread_detach(thread);
        } else {
            answer(to);
        }
    }
}
