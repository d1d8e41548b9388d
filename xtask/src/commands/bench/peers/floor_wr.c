/* The floor under a writer of shared memory: the calls themselves and nothing else. */
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static const char done[] = "shm write success\n";
    if (argc != 2 || strlen(argv[1]) >= 1024) return 1;
    int id = shmget(20231125, 1024, IPC_CREAT | 0666);
    if (id < 0) return 1;
    char *memory = shmat(id, NULL, 0);
    if (memory == (char *)-1) return 1;
    memcpy(memory, argv[1], strlen(argv[1]) + 1);
    shmdt(memory);
    return write(1, done, sizeof done - 1) != sizeof done - 1;
}
