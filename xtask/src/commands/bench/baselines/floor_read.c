/* COUNT BYTES FILE: reads a file COUNT times into one private buffer with allocated pages. Prints
 * the mean time in nanoseconds. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int count = atoi(argv[1]), size = atoi(argv[2]);
    struct timespec begin, end;
    char *buffer = memset(malloc(size), 1, size);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < count; i++) {
        int in = open(argv[3], O_RDONLY);
        if (read(in, buffer, size) != size) return 1;
        close(in);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double taken = (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec);
    return printf("%.0f\n", taken / count) < 0;
}
