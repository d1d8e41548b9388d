/*
 * A pair like the article's, in C: with -DWRITER the program that writes its argument into the
 * segment, without it the program that prints the text. The tools must behave like them: a fixed
 * key and size, no detach, the same messages.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

enum { KEY = 20231125, SIZE = 1024, MODE = 0666 };

static char *attached(int flags)
{
    int id = shmget(KEY, SIZE, flags | MODE);
    if (id == -1) {
        fprintf(stderr, "shmget failed, errno: %d msg: %s\n", errno, strerror(errno));
        return NULL;
    }
    void *start = shmat(id, NULL, 0);
    if (start == (void *)-1) {
        fprintf(stderr, "shmat failed, errno: %d msg: %s\n", errno, strerror(errno));
        return NULL;
    }
    return start;
}

#ifdef WRITER
int main(int count, char **arguments)
{
    if (count != 2) {
        fputs("place input str, example: ./shm_wr abcd\n", stderr);
        return -1;
    }
    char *text = attached(IPC_CREAT);
    if (text != NULL) {
        size_t length = strnlen(arguments[1], SIZE - 1);
        memcpy(text, arguments[1], length);
        text[length] = '\0';
    }
    puts(text != NULL ? "shm write success" : "shm write failed");
    return 0;
}
#else
int main(void)
{
    const char *text = attached(0);
    if (text == NULL) {
        puts("shm read failed");
        return -1;
    }
    for (int place = 0; place < SIZE - 1 && text[place] != '\0'; place++)
        printf("%c ", text[place]);
    puts("\nshm read success");
    return 0;
}
#endif
