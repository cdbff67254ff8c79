/* A disk that fails: preloaded into a process, it refuses calls that write one file, from a certain call on.

   FAIL_FILE: calls on files whose path begins with this count; FAIL_CALLS: "write" (write, pwrite, ftruncate, fallocate) or
   "sync" (fsync, fdatasync); FAIL_FROM: the first that fails, from 1; FAIL_WITH: its errno. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int refused(int fd, const char *calls) {
  static long count;
  char link[64], path[4096];
  const char *file = getenv("FAIL_FILE"), *which = getenv("FAIL_CALLS");
  ssize_t length;
  if (!file || !which || strcmp(which, calls)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (strncmp(path, file, strlen(file)) || ++count < atol(getenv("FAIL_FROM"))) return 0;
  errno = atoi(getenv("FAIL_WITH"));
  return 1;
}

#define REAL(result, name, ...)                                                       \
  static result (*real)(__VA_ARGS__);                                                 \
  if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *from, size_t size) {
  REAL(ssize_t, "write", int, const void *, size_t);
  return refused(fd, "write") ? -1 : real(fd, from, size);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
  return refused(fd, "write") ? -1 : real(fd, from, size, at);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  return refused(fd, "write") ? -1 : real(fd, from, size, at);
}

int ftruncate(int fd, off_t size) {
  REAL(int, "ftruncate", int, off_t);
  return refused(fd, "write") ? -1 : real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
  REAL(int, "ftruncate64", int, off64_t);
  return refused(fd, "write") ? -1 : real(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  REAL(int, "fallocate", int, int, off_t, off_t);
  return refused(fd, "write") ? -1 : real(fd, mode, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size) {
  REAL(int, "posix_fallocate", int, off_t, off_t);
  return refused(fd, "write") ? errno : real(fd, at, size);
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  return refused(fd, "sync") ? -1 : real(fd);
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  return refused(fd, "sync") ? -1 : real(fd);
}
