/* linux_3_10 ROOT WHICH PROGRAM... - run a program in a root, on a kernel without the system calls that Linux 3.10 lacks:
 * they say ENOSYS. WHICH: "none" of them, "all", or the number of one. On x86_64 and in the generic table (aarch64) numbers
 * only grow: whatever is above 3.10's last one is newer. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__x86_64__)
#define LAST 313 /* finit_module */
#elif defined(__aarch64__)
#define LAST 273 /* finit_module */
#endif

static int forbid(const char *which)
{
	unsigned int number = strcmp(which, "all") == 0 ? LAST + 1 : (unsigned int)atoi(which);
	unsigned short jump = strcmp(which, "all") == 0 ? BPF_JGE : BPF_JEQ;
	struct sock_filter rule[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP((unsigned short)(BPF_JMP | jump | BPF_K), number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = rule };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "last") == 0)
		return printf("%d\n", LAST) < 0;
	if (argc < 4 || chdir(argv[1]) < 0 || chroot(".") < 0)
		return 125;
	if (strcmp(argv[2], "none") != 0 && forbid(argv[2]) < 0)
		return 126;
	execv(argv[3], argv + 3);
	return 127;
}
