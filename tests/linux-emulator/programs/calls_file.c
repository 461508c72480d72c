/* Calls about files as far as the library OS decodes them; what they mean is linux-files' matter, which
 * has tests of its own. Everything happens in a fresh directory under /tmp. */
#define _GNU_SOURCE
#include "show.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>

int main(void) {
  char name[64], buffer[256] = {0};
  struct stat stat_;
  sprintf(name, "/tmp/calls-%d", getpid());
  SHOW(mkdir(name, 0755)); SHOW(chdir(name)); SHOW(mkdir("d", 0700)); SHOW(mkdir("d", 0700));
  SHOW(getcwd(buffer, sizeof buffer) != 0); SHOW(strcmp(buffer, name)); SHOW(getcwd(buffer, 3) == 0 ? -1 : 0);
  SHOW(open("none", O_RDONLY)); SHOW(open("d", O_WRONLY)); SHOW(syscall(SYS_open, 8L, 0)); SHOW(open("", O_RDONLY));
  int fd = open("a", O_RDWR | O_CREAT | O_TRUNC, 0640);
  SHOW(fd >= 3); SHOW(open("a", O_CREAT | O_EXCL, 0600));
  SHOW(write(fd, "hello world\n", 12)); SHOW(lseek(fd, 0, SEEK_SET)); SHOW(read(fd, buffer, 5)); SHOW(buffer[4]);
  SHOW(pread(fd, buffer, 100, 6)); SHOW(pwrite(fd, "W", 1, 6)); SHOW(lseek(fd, -3, SEEK_CUR)); SHOW(lseek(fd, 0, SEEK_END));
  SHOW(lseek(fd, -100, SEEK_SET)); SHOW(lseek(fd, 0, 77)); SHOW(pread(fd, (void *)1, 5, 0));
  SHOW(read(99, buffer, 1)); SHOW(write(99, buffer, 1)); SHOW(write(fd, (void *)1, 5)); SHOW(read(fd, buffer, 0));
  SHOW(fstat(fd, &stat_)); SHOW(stat_.st_size); SHOW(stat_.st_mode); SHOW(stat("a", &stat_)); SHOW(stat("a/b", &stat_));
  SHOW(fstat(99, &stat_)); SHOW(syscall(SYS_fstat, fd, 1L)); SHOW(lstat("none", &stat_));
  SHOW(ftruncate(fd, 5)); SHOW(lseek(fd, 0, SEEK_END)); SHOW(truncate("a", 8)); SHOW(truncate("none", 1));
  struct iovec vectors[3] = {{"one ", 4}, {"two ", 4}, {"three", 5}};
  SHOW(lseek(fd, 0, SEEK_SET)); SHOW(writev(fd, vectors, 3)); SHOW(writev(fd, vectors, -1)); SHOW(writev(fd, vectors, 0));
  SHOW(writev(fd, (void *)1, 1)); SHOW(syscall(SYS_writev, fd, vectors, 5000L));
  char x[4], y[9]; struct iovec into[2] = {{x, 4}, {y, 9}};
  SHOW(lseek(fd, 0, SEEK_SET)); SHOW(readv(fd, into, 2)); SHOW(x[3]); SHOW(y[8]); SHOW(preadv(fd, into, 2, 4));
  SHOW(pwritev(fd, vectors, 2, 20)); SHOW(lseek(fd, 0, SEEK_END));
  SHOW(rename("a", "d/b")); SHOW(rename("a", "c")); SHOW(link("d/b", "e")); SHOW(symlink("d/b", "s")); SHOW(readlink("s", buffer, 100));
  SHOW(readlink("d", buffer, 100)); SHOW(readlink("s", buffer, 0)); SHOW(unlink("d")); SHOW(rmdir("d")); SHOW(access("s", R_OK)); SHOW(access("x", R_OK));
  SHOW(chmod("e", 0600)); SHOW(fchmod(fd, 0644)); SHOW(umask(022) >= 0);
  struct timespec times[2] = {{1000, 5}, {2000, 6}}; SHOW(utimensat(AT_FDCWD, "e", times, 0)); SHOW(stat("e", &stat_)); SHOW(stat_.st_mtim.tv_sec); SHOW(stat_.st_mtim.tv_nsec);
  times[0].tv_nsec = 2000000000; SHOW(utimensat(AT_FDCWD, "e", times, 0)); SHOW(futimens(fd, 0));
  DIR *directory = opendir("."); int entries = 0; while (readdir(directory)) entries++; SHOW(entries); SHOW(closedir(directory));
  SHOW(fcntl(fd, F_GETFL) & O_ACCMODE); SHOW(fcntl(fd, F_SETFL, O_APPEND)); SHOW(fcntl(fd, F_GETFD)); SHOW(fcntl(fd, F_SETFD, 1)); SHOW(fcntl(fd, F_GETFD)); SHOW(fcntl(99, F_GETFD)); SHOW(fcntl(fd, 999));
  int copy = dup(fd); SHOW(copy > fd); SHOW(dup2(fd, 50)); SHOW(dup3(fd, fd, 0)); SHOW(dup2(99, 51)); SHOW(fcntl(fd, F_DUPFD, 60)); SHOW(close(60)); SHOW(close(60)); SHOW(close(50));
  struct flock lock = {.l_type = F_WRLCK}; SHOW(fcntl(fd, F_SETLK, &lock)); SHOW(fcntl(fd, F_GETLK, &lock)); SHOW(lock.l_type == F_UNLCK); SHOW(fcntl(fd, F_SETLK, (void *)1));
  struct termios terminal; SHOW(tcgetattr(fd, &terminal)); SHOW(ioctl(fd, 0x12345, 0)); int waiting = -1; SHOW(isatty(0) ? 0 : -1);
  int ends[2]; SHOW(pipe(ends)); SHOW(write(ends[1], "abc", 3)); SHOW(ioctl(ends[0], FIONREAD, &waiting)); SHOW(waiting); SHOW(ioctl(ends[0], FIONREAD, (void *)1));
  SHOW(lseek(ends[0], 0, SEEK_CUR)); struct pollfd polled[3] = {{ends[0], POLLIN}, {ends[1], POLLOUT}, {99, POLLIN}}; SHOW(poll(polled, 3, 0)); SHOW(polled[0].revents); SHOW(polled[2].revents); SHOW(poll((void *)1, 1, 0));
  SHOW(read(ends[0], buffer, 10)); SHOW(poll(polled, 1, 1)); fd_set set; FD_ZERO(&set); FD_SET(ends[0], &set); struct timeval wait = {0, 1000}; SHOW(select(ends[0] + 1, &set, 0, 0, &wait)); SHOW(FD_ISSET(ends[0], &set) != 0);
  SHOW(write(ends[1], "x", 1)); FD_SET(ends[0], &set); SHOW(select(ends[0] + 1, &set, 0, 0, 0)); SHOW(FD_ISSET(ends[0], &set) != 0);
  signal(SIGPIPE, SIG_IGN); SHOW(close(ends[0])); SHOW(write(ends[1], "x", 1)); SHOW(pipe2(ends, 0x1)); SHOW(syscall(SYS_pipe, 1L)); SHOW(pipe2(ends, O_NONBLOCK | O_CLOEXEC)); SHOW(read(ends[0], buffer, 1));
  int to = open("f", O_RDWR | O_CREAT, 0600); off_t from = 2; SHOW(sendfile(to, fd, &from, 4)); SHOW(from); SHOW(lseek(to, 0, SEEK_CUR)); SHOW(copy_file_range(fd, &from, to, 0, 3, 0)); SHOW(from);
  char *mapped = mmap(0, 5000, PROT_READ, MAP_PRIVATE, to, 0); SHOW(mapped != MAP_FAILED); SHOW(mapped[0]); SHOW(mapped[4095]); SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0) == MAP_FAILED ? -1 : 0);
  mapped = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, to, 0); mapped[0] = 'Q'; SHOW(pread(to, buffer, 1, 0)); SHOW(buffer[0] == 'Q');
  SHOW(fsync(to)); SHOW(fsync(99)); SHOW(fallocate(to, 0, 0, 100)); SHOW(posix_fadvise(to, 0, 0, 0));
  struct rlimit limit; SHOW(getrlimit(RLIMIT_NOFILE, &limit)); SHOW(getrlimit(99, &limit)); SHOW(getrlimit(RLIMIT_STACK, &limit)); SHOW(limit.rlim_cur);
  SHOW(openat(fd, "x", O_RDONLY)); SHOW(openat(99, "x", O_RDONLY)); int root = open(".", O_RDONLY | O_DIRECTORY); SHOW(openat(root, "f", O_RDONLY) >= 0); SHOW(read(root, buffer, 1)); SHOW(fchdir(root)); SHOW(fchdir(fd));
  SHOW(unlink("e")); SHOW(unlink("f")); SHOW(unlink("s")); SHOW(unlink("d/b")); SHOW(rmdir("d")); SHOW(rmdir(name)); SHOW(chdir("/"));
  SHOW(read(0, buffer, 100)); SHOW(read(0, buffer, 100)); SHOW(close(0)); SHOW(read(0, buffer, 1));
  return 0;
}
