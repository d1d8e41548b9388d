/* Starts a program COUNT times, one after another, each with IN as its standard input and OUT, emptied,
 * as its standard output, and prints the nanoseconds that a start took on average, to its end. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv) {
    int count = argc > 4 ? atoi(argv[1]) : 0;
    if (count < 1) {
        fputs("usage: starts COUNT IN OUT PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, argv[2], O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    double begin = now();
    for (int i = 0; i < count; i++) {
        pid_t child;
        int status = -1;
        if (posix_spawnp(&child, argv[4], &files, NULL, argv + 4, environ) != 0 ||
            waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "%s failed, status 0x%x\n", argv[4], status);
            return 1;
        }
    }
    printf("%.0f\n", (now() - begin) / count);
    return 0;
}
