/*
 * refuse ERRNO CALL... -- PROGRAM ARGUMENT...
 *
 * Runs a program under a seccomp filter that fails the named system calls with ERRNO, like the
 * seccomp profile of a container.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long number(const char *name)
{
    return strcmp(name, "shmget") == 0 ? SYS_shmget
         : strcmp(name, "shmat") == 0  ? SYS_shmat
         : strcmp(name, "shmctl") == 0 ? SYS_shmctl
         : strcmp(name, "semget") == 0 ? SYS_semget
         : strcmp(name, "semctl") == 0 ? SYS_semctl
         : strcmp(name, "msgget") == 0 ? SYS_msgget
         : strcmp(name, "mq_open") == 0 ? SYS_mq_open
                                        : -1;
}

int main(int count, char **arguments)
{
    struct sock_filter filter[16] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    unsigned short length = 1;
    int next = 2;
    for (; next < count && strcmp(arguments[next], "--") != 0 && length < 12; next++) {
        struct sock_filter unless = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number(arguments[next]), 0, 1);
        struct sock_filter fail = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(arguments[1]));
        filter[length++] = unless;
        filter[length++] = fail;
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { length, filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("seccomp");
        return 125;
    }
    execv(arguments[next + 1], arguments + next + 1);
    perror(arguments[next + 1]);
    return 127;
}
