/* inherit SHMID CHILDREN FILE [execute]: attaches a segment and forks children, which inherit the
   attachment. All processes end when FILE is removed. With a fourth argument the program executes a
   shell instead, which creates FILE.new and also ends when FILE is removed. */
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int count, char **words)
{
    if (count < 4 || shmat(atoi(words[1]), NULL, SHM_RDONLY) == (void *)-1)
        return 1;
    if (count > 4) {
        execl("/bin/sh", "sh", "-c",
              "touch \"$0.new\"; while [ -e \"$0\" ]; do sleep 0.02; done", words[3], (char *)NULL);
        return 2;
    }
    for (int child = 0; child < atoi(words[2]); child++)
        if (fork() == 0)
            break;
    while (access(words[3], F_OK) == 0)
        usleep(5000);
    return 0;
}
