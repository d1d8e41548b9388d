/* The floor under whatever takes a file in: reads FILE COUNT times into one private buffer whose pages
 * are there already, and prints the nanoseconds that it took on average. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv) {
    struct stat file;
    int count = argc == 3 ? atoi(argv[1]) : 0;
    if (count < 1 || stat(argv[2], &file) != 0) {
        fputs("usage: floor_read COUNT FILE\n", stderr);
        return 2;
    }
    char *buffer = malloc(file.st_size);
    if (buffer == NULL) return 1;
    memset(buffer, 1, file.st_size);
    double begin = now();
    for (int i = 0; i < count; i++) {
        int in = open(argv[2], O_RDONLY);
        off_t filled = 0;
        while (filled < file.st_size) {
            ssize_t length = read(in, buffer + filled, file.st_size - filled);
            if (length <= 0) return 1;
            filled += length;
        }
        close(in);
    }
    printf("%.0f\n", (now() - begin) / count);
    return 0;
}
