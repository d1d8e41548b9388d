/* COUNT IN OUT PROGRAM [ARGUMENT...]: runs a program COUNT times in sequence, with IN as standard
 * input and OUT, truncated, as standard output. Prints the mean time of a run in nanoseconds. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

int main(int argc, char **argv) {
    int count = argc > 4 ? atoi(argv[1]) : 0, status;
    struct timespec begin, end;
    pid_t child;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, argv[2], O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < count; i++) {
        if (posix_spawnp(&child, argv[4], &files, NULL, argv + 4, NULL) != 0) return 1;
        if (waitpid(child, &status, 0) != child || status != 0) return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double taken = (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec);
    return count < 1 || printf("%.0f\n", taken / count) < 0;
}
