#include "firstboot/download_drop.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cache/base/auto.h"
#include "cache/base/process.h"
#include "cache/record.h"

#define FOLDER_MODE 0700

static const struct {
	__rlimit_resource_t resource;
	rlim_t most;
} limits[] = {
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_NOFILE, 256 },
	{ RLIMIT_NPROC, 64 }, /* threads that look up names */
	{ RLIMIT_DATA, (rlim_t)1 << 30 },
	{ RLIMIT_FSIZE, RECORD_FILE_MAX_BYTES },
};

/* Only a path yet: root without its capabilities may not read in a folder of another user. */
static int make_folder(const char *into, int *out_place, struct err *err)
{
	AUTO_CLOSE int place = -1;

	if (mkdir(into, FOLDER_MODE) < 0 && errno != EEXIST)
		return err_errno(err, "--into %s", into);
	place = open(into, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0 || (geteuid() == 0 &&
			  fchownat(place, "", DOWNLOAD_USER, DOWNLOAD_USER, AT_EMPTY_PATH) < 0))
		return err_errno(err, "--into %s", into);
	*out_place = take_fd(&place);
	return 0;
}

/* Where the bounding set may not be changed, no_new_privs makes it void. */
static int drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	for (unsigned long one = 0; prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; one++)
		(void)prctl(PR_CAPBSET_DROP, one, 0, 0, 0);
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 ||
			       setresgid(DOWNLOAD_USER, DOWNLOAD_USER, DOWNLOAD_USER) < 0 ||
			       setresuid(DOWNLOAD_USER, DOWNLOAD_USER, DOWNLOAD_USER) < 0))
		return err_errno(err, "become user %d", DOWNLOAD_USER);
	if (syscall(SYS_capset, &header, none) < 0)
		return err_errno(err, "drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, "no new privileges");
	return 0;
}

static int set_limits(struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		const struct rlimit limit = { limits[i].most, limits[i].most };

		if (limits[i].resource == RLIMIT_DATA && PROCESS_SANITIZED)
			continue;
		if (setrlimit(limits[i].resource, &limit) < 0)
			return err_errno(err, "setrlimit");
	}
	signal(SIGXFSZ, SIG_IGN); /* EFBIG says it, too */
	return 0;
}

int download_drop(const char *into, int *out_dir, struct err *err)
{
	AUTO_CLOSE int place = -1, dir = -1;

	if (make_folder(into, &place, err) < 0 || set_limits(err) < 0 ||
	    drop_capabilities(err) < 0)
		return -1;
	dir = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fchmod(dir, FOLDER_MODE) < 0 || faccessat(dir, ".", W_OK, 0) < 0)
		return err_errno(err, "--into %s", into);
	*out_dir = take_fd(&dir);
	return 0;
}
