/* The lower bound for the tools: only the needed calls. Writes its argument; reads without one. */
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char out[2 * 1024 + 20];
    size_t length = 0;
    const char *done = argc > 1 ? "shm write success\n" : "\nshm read success\n";
    if (argc > 1 && strlen(argv[1]) >= 1024) return 1;
    int id = shmget(20231125, 1024, argc > 1 ? IPC_CREAT | 0666 : 0666);
    if (id < 0) return 1;
    char *memory = shmat(id, NULL, argc > 1 ? 0 : SHM_RDONLY);
    if (memory == (char *)-1) return 1;
    if (argc > 1) strcpy(memory, argv[1]);
    else for (int i = 0; i < 1023 && memory[i] != '\0'; i++) {
        out[length++] = memory[i];
        out[length++] = ' ';
    }
    shmdt(memory);
    memcpy(out + length, done, 18);
    return write(1, out, length + 18) != (ssize_t)(length + 18);
}
