// Preloaded into a worker, it is a slow disk: every fsync answers late, and is written down.
// cc -shared -fPIC; SLOW_FSYNC_MS says how late, SLOW_FSYNC_NOTES is a file that gets one byte for each.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int late(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *ms = getenv("SLOW_FSYNC_MS"), *notes = getenv("SLOW_FSYNC_NOTES");
    int done = real(fd);
    if (ms != NULL) {
        long wait = atol(ms);
        struct timespec rest = {wait / 1000, wait % 1000 * 1000000L};
        while (nanosleep(&rest, &rest) != 0) {
        }
    }
    if (notes != NULL) {
        int note = open(notes, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (note >= 0) {
            if (write(note, ".", 1) != 1) {
                abort();
            }
            close(note);
        }
    }
    return done;
}

int fsync(int fd) { return late("fsync", fd); }

int fdatasync(int fd) { return late("fdatasync", fd); }
