/* Stands before a program: runs $SPY_PROGRAM with its own arguments, and adds a line to the file $SPY_LOG
 * with the nanoseconds of the monotonic clock at which that began and ended. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
    const char *program = getenv("SPY_PROGRAM"), *log = getenv("SPY_LOG");
    pid_t child;
    int status;
    char line[64];
    (void)argc;
    if (program == NULL || log == NULL) return 125;
    long long begin = now();
    if (posix_spawn(&child, program, NULL, NULL, argv, environ) != 0) return 125;
    if (waitpid(child, &status, 0) != child) return 125;
    int length = snprintf(line, sizeof line, "%lld %lld\n", begin, now());
    int out = open(log, O_WRONLY | O_APPEND | O_CREAT, 0600);
    /* One call, so that the lines of programs that run at the same time do not mix. */
    if (write(out, line, length) != length) return 125;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
