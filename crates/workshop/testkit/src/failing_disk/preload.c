/*
 * Stands before the C library's calls on files of one folder: the n-th of a kind fails, and what was written and not
 * synced is remembered with what the disk held before, so that a test can cut the power afterwards.
 *
 * As Linux does it, a sync that fails marks the pages clean: a later one of the same file says that all is well, and
 * the disk does not hold them. What is not modelled: names are durable at once, and so are lengths.
 *
 * CORLISS_FAILING_DISK is the file that is shared with the test, CORLISS_FAILING_FOLDER the folder. The first part
 * of the file is `struct control`, with its numbers as the machine has them; `mod.rs` reads and writes the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC = 2, RENAME = 4, CREATE = 8, REMOVE = 16, READ = 32 };
enum state { FREE = 0, DIRTY = 1, LOST = 2 };

#define PAGE 4096
#define PAGES 8192

struct page {
    uint64_t device, inode, number;
    uint64_t state;
    unsigned char before[PAGE];
};

struct control {
    uint64_t kinds, from, until, error;
    uint64_t calls, failed, used, is_full;
    char first[448];
    struct page pages[PAGES];
};

static struct control *control;
static char folder[PATH_MAX];
static size_t folder_len;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CORLISS_FAILING_DISK"), *within = getenv("CORLISS_FAILING_FOLDER");
    if (!path || !within || strlen(within) >= sizeof folder) return;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED) return;
    strcpy(folder, within);
    folder_len = strlen(folder);
    control = shared;
}

static int is_within(const char *path) {
    return control && strncmp(path, folder, folder_len) == 0;
}

/* The path of a file that is open; empty if it is none of ours. */
static const char *path_of(int fd, char *path) {
    char link[64];
    if (!control) return "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    path[len < 0 ? 0 : len] = 0;
    return is_within(path) ? path : "";
}

/* The path of a name, which may be relative to a folder that is open. */
static const char *path_at(int at, const char *name, char *path) {
    if (!control) return "";
    if (name[0] == '/' || at == AT_FDCWD) {
        snprintf(path, PATH_MAX, "%s", name);
    } else {
        char within[PATH_MAX];
        if (!*path_of(at, within)) return "";
        /* Longer than any path there is. */
        if (strlen(within) + strlen(name) + 2 > PATH_MAX) return "";
        strcpy(path, within);
        strcat(path, "/");
        strcat(path, name);
    }
    return is_within(path) ? path : "";
}

/* Whether this call is to fail. */
static int fails(enum kind kind, const char *what, const char *path) {
    if (!*path || !(control->kinds & kind)) return 0;
    uint64_t call = __atomic_add_fetch(&control->calls, 1, __ATOMIC_SEQ_CST);
    if (call < control->from || call >= control->until) return 0;
    if (__atomic_fetch_add(&control->failed, 1, __ATOMIC_SEQ_CST) == 0)
        snprintf(control->first, sizeof control->first, "%s %s", what, path);
    errno = control->error;
    return 1;
}

/* Under the lock: forgets pages of a file from a number on, or only those in one state. */
static void forget(uint64_t device, uint64_t inode, uint64_t from, int state) {
    for (uint64_t at = 0; at < control->used; at++) {
        struct page *page = &control->pages[at];
        if (page->inode == inode && page->device == device && page->number >= from
            && (!state || page->state == (uint64_t)state))
            page->state = FREE, page->inode = 0;
    }
    while (control->used && control->pages[control->used - 1].state == FREE) control->used--;
}

/* Remembers what the pages of a range held on the disk; called before they are written. */
static void dirty(int fd, off_t offset, size_t len) {
    struct stat file;
    if (len == 0 || fstat(fd, &file) || !S_ISREG(file.st_mode)) return;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int before = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    pthread_mutex_lock(&lock);
    for (uint64_t number = offset / PAGE; number <= (offset + len - 1) / PAGE; number++) {
        struct page *found = NULL, *unused = NULL;
        for (uint64_t at = 0; at < control->used && !found; at++) {
            struct page *page = &control->pages[at];
            if (page->state == FREE) unused = unused ? unused : page;
            else if (page->inode == file.st_ino && page->number == number && page->device == file.st_dev)
                found = page;
        }
        if (found) {
            found->state = DIRTY;
            continue;
        }
        if (!unused && control->used < PAGES) unused = &control->pages[control->used++];
        if (!unused) {
            control->is_full = 1;
            break;
        }
        unused->device = file.st_dev, unused->inode = file.st_ino;
        unused->number = number, unused->state = DIRTY;
        memset(unused->before, 0, PAGE);
        if (before >= 0) syscall(SYS_pread64, before, unused->before, PAGE, number * PAGE);
    }
    pthread_mutex_unlock(&lock);
    if (before >= 0) close(before);
}

/* A sync that was done makes what is dirty durable; one that failed makes it look so. */
static void synced(int fd, int is_done) {
    struct stat file;
    if (fstat(fd, &file)) return;
    pthread_mutex_lock(&lock);
    if (is_done) {
        forget(file.st_dev, file.st_ino, 0, DIRTY);
    } else {
        for (uint64_t at = 0; at < control->used; at++) {
            struct page *page = &control->pages[at];
            if (page->state == DIRTY && page->inode == file.st_ino && page->device == file.st_dev)
                page->state = LOST;
        }
    }
    pthread_mutex_unlock(&lock);
}

/* A file of which the last name goes. */
static void gone(const char *path) {
    struct stat file;
    if (!*path || lstat(path, &file) || !S_ISREG(file.st_mode) || file.st_nlink > 1) return;
    pthread_mutex_lock(&lock);
    forget(file.st_dev, file.st_ino, 0, 0);
    pthread_mutex_unlock(&lock);
}

static off_t place_of(int fd) {
    struct stat file;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && !fstat(fd, &file)) return file.st_size;
    off_t offset = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    return offset < 0 ? 0 : offset;
}

static size_t sum(const struct iovec *parts, int count) {
    size_t len = 0;
    for (int at = 0; at < count; at++) len += parts[at].iov_len;
    return len;
}

ssize_t write(int fd, const void *bytes, size_t len) {
    char path[PATH_MAX];
    if (*path_of(fd, path)) {
        if (fails(WRITE, "write", path)) return -1;
        dirty(fd, place_of(fd), len);
    }
    return syscall(SYS_write, fd, bytes, len);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset) {
    char path[PATH_MAX];
    if (*path_of(fd, path)) {
        if (fails(WRITE, "pwrite", path)) return -1;
        dirty(fd, offset, len);
    }
    return syscall(SYS_pwrite64, fd, bytes, len, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) {
    return pwrite64(fd, bytes, len, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (*path_of(fd, path)) {
        if (fails(WRITE, "writev", path)) return -1;
        dirty(fd, place_of(fd), sum(parts, count));
    }
    return syscall(SYS_writev, fd, parts, count);
}

int ftruncate64(int fd, off64_t len) {
    char path[PATH_MAX];
    struct stat file;
    if (*path_of(fd, path)) {
        if (fails(WRITE, "ftruncate", path)) return -1;
        if (!fstat(fd, &file)) {
            pthread_mutex_lock(&lock);
            forget(file.st_dev, file.st_ino, (len + PAGE - 1) / PAGE, 0);
            pthread_mutex_unlock(&lock);
        }
    }
    return syscall(SYS_ftruncate, fd, len);
}

int ftruncate(int fd, off_t len) {
    return ftruncate64(fd, len);
}

ssize_t read(int fd, void *bytes, size_t len) {
    char path[PATH_MAX];
    if (fails(READ, "read", path_of(fd, path))) return -1;
    return syscall(SYS_read, fd, bytes, len);
}

ssize_t pread64(int fd, void *bytes, size_t len, off64_t offset) {
    char path[PATH_MAX];
    if (fails(READ, "pread", path_of(fd, path))) return -1;
    return syscall(SYS_pread64, fd, bytes, len, offset);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t offset) {
    return pread64(fd, bytes, len, offset);
}

static int sync_by(long number, const char *what, int fd) {
    char path[PATH_MAX];
    if (!*path_of(fd, path)) return syscall(number, fd);
    if (fails(SYNC, what, path)) {
        synced(fd, 0);
        errno = control->error;
        return -1;
    }
    int done = syscall(number, fd);
    if (done == 0) synced(fd, 1);
    return done;
}

int fsync(int fd) {
    return sync_by(SYS_fsync, "fsync", fd);
}

int fdatasync(int fd) {
    return sync_by(SYS_fdatasync, "fdatasync", fd);
}

/* Promises nothing to anybody: it fails as the others do, and makes nothing durable. */
int sync_file_range(int fd, off64_t offset, off64_t len, unsigned int flags) {
    char path[PATH_MAX];
    if (fails(SYNC, "sync_file_range", path_of(fd, path))) return -1;
    return syscall(SYS_sync_file_range, fd, offset, len, flags);
}

static int open_at(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (flags & (O_CREAT | O_TRUNC)) {
        const char *where = path_at(at, name, path);
        if (fails(CREATE, "open", where)) return -1;
        if (flags & O_TRUNC) gone(where);
    }
    return syscall(SYS_openat, at, name, flags, mode);
}

#define MODE(flags, mode)                                    \
    mode_t mode = 0;                                         \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                   \
        va_list more;                                        \
        va_start(more, flags);                               \
        mode = va_arg(more, mode_t);                         \
        va_end(more);                                        \
    }

int open(const char *name, int flags, ...) {
    MODE(flags, mode)
    return open_at(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE(flags, mode)
    return open_at(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *name, int flags, ...) {
    MODE(flags, mode)
    return open_at(at, name, flags, mode);
}

int openat64(int at, const char *name, int flags, ...) {
    MODE(flags, mode)
    return open_at(at, name, flags | O_LARGEFILE, mode);
}

int mkdir(const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (fails(CREATE, "mkdir", path_at(AT_FDCWD, name, path))) return -1;
    return syscall(SYS_mkdirat, AT_FDCWD, name, mode);
}

int rename(const char *from, const char *to) {
    char path[PATH_MAX];
    const char *where = path_at(AT_FDCWD, to, path);
    if (fails(RENAME, "rename", where)) return -1;
    gone(where);
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int unlink_at(int at, const char *name, int flags) {
    char path[PATH_MAX];
    const char *where = path_at(at, name, path);
    if (fails(REMOVE, "unlink", where)) return -1;
    gone(where);
    return syscall(SYS_unlinkat, at, name, flags);
}

int unlink(const char *name) {
    return unlink_at(AT_FDCWD, name, 0);
}

int unlinkat(int at, const char *name, int flags) {
    return unlink_at(at, name, flags);
}
