/* What of a node's files is on its disk: preloaded into a broker's Java, this writes down each file that was synced.

   Decides nothing: a record is (inode, time of birth, size at the call) and is written once the kernel said that the file is on
   the disk. `disk.py` cuts files back to it, which is what a power cut leaves at worst. Files are known by inode, as Kafka
   renames those it has synced; the time of birth tells a new file from an old one whose number it got. A mapped file
   (Kafka's indexes) is synced by msync; which it is stands in /proc/self/maps.

   TALLY_DISK_SYNCED: file that the records are appended to. TALLY_DISK_DELAY: file with milliseconds that each call waits, which
   makes a slow disk of a fast one; read at each call, so that it can change. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct record {
  uint64_t inode;
  int64_t born_ns;
  int64_t size;
};

static int look(int fd, const char *path, struct record *found) {
  struct statx s;
  if (statx(fd, path, *path ? 0 : AT_EMPTY_PATH, STATX_INO | STATX_BTIME | STATX_SIZE | STATX_TYPE, &s) != 0) return 0;
  if (!S_ISREG(s.stx_mode)) return 0;
  found->inode = s.stx_ino;
  found->born_ns = s.stx_btime.tv_sec * 1000000000LL + s.stx_btime.tv_nsec;
  found->size = (int64_t)s.stx_size;
  return 1;
}

/* One write of 24 bytes at the end of the file: the kernel keeps those of two threads apart. */
static void note(const struct record *synced) {
  const char *path = getenv("TALLY_DISK_SYNCED");
  int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  if (write(fd, synced, sizeof *synced) != sizeof *synced) abort(); /* half a record would shift all that follow */
  close(fd);
}

static void delay(void) {
  const char *path = getenv("TALLY_DISK_DELAY");
  char text[16] = {0};
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  if (read(fd, text, sizeof text - 1) > 0) {
    long ms = atol(text);
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&wait, NULL);
  }
  close(fd);
}

static int synced(int (*sync)(int), int fd) {
  struct record before;
  int is_file = look(fd, "", &before), done, why; /* what is appended while the disk works need not be on it */
  delay();
  done = sync(fd);
  why = errno;
  if (done == 0 && is_file) note(&before);
  errno = why;
  return done;
}

int fsync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return synced(real, fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return synced(real, fd);
}

static int mapped_at(const void *address, struct record *found) {
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[4352];
  int is_found = 0;
  while (maps && !is_found && fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    char *path = strchr(line, '/');
    if (!path || sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
    if ((uintptr_t)address < from || (uintptr_t)address >= to) continue;
    path[strcspn(path, "\n")] = 0;
    is_found = look(AT_FDCWD, path, found);
  }
  if (maps) fclose(maps);
  return is_found;
}

int msync(void *address, size_t length, int flags) {
  static int (*real)(void *, size_t, int);
  struct record before;
  int is_file, done, why;
  if (!real) real = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "msync");
  is_file = flags & MS_SYNC && mapped_at(address, &before);
  if (flags & MS_SYNC) delay();
  done = real(address, length, flags);
  why = errno;
  if (done == 0 && is_file) note(&before);
  errno = why;
  return done;
}
