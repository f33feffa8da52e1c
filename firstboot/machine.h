/* machine.h - the machine that is worked on: where its folders are, and their modes. */
#ifndef LARDER_MACHINE_H
#define LARDER_MACHINE_H

#include "cache/base/fs.h"

/* Below the sysroot, so without a leading slash. */
#define MACHINE_ETC "etc/larder"
#define MACHINE_BROUGHT "usr/lib/larder" /* what the image brought */
#define MACHINE_CACHE MACHINE_BROUGHT "/cache"
#define MACHINE_STATE "var/lib/larder"
#define MACHINE_RUN "run/larder"
#define MACHINE_LOG "var/log"

struct machine {
	char path[FS_PATH_MAX]; /* the sysroot, absolute */
	bool whole; /* the sysroot is /: nothing has to be kept inside it */
	int root; /* open folders; -1: not there */
	int run;
	int state;
	int lock;
};
#define MACHINE_NONE                                                                           \
	{                                                                                      \
		.root = -1, .run = -1, .state = -1, .lock = -1                                 \
	}
#define AUTO_MACHINE __attribute__((cleanup(machine_close)))
void machine_close(struct machine *machine);

/* sysroot NULL: /. Nothing is made. */
MUST_USE int machine_open(const char *sysroot, struct machine *out_machine, struct err *err);

/* Makes run and state with the modes of one table (T20), and opens them. run is opened even when state
 * cannot be, so that the failure can be told there. */
MUST_USE int machine_make_folders(struct machine *machine, struct err *err);

/* One run at a time. Then removes what a run that crashed left in our own folders (T23).
 * ERR_TIMEOUT: another run holds the lock. */
MUST_USE int machine_lock(struct machine *machine, int timeout_ms, struct err *err);

/* Folders and files by their path on the machine; a leading slash is allowed, and no link leads out of
 * the sysroot. Errors begin with the path as the machine's owner knows it. */
MUST_USE int machine_open_dir(const struct machine *machine, const char *path, int *out_fd,
			      struct err *err);
/* Missing folders are made, 0755. */
MUST_USE int machine_make_dir(const struct machine *machine, const char *path, int *out_fd,
			      struct err *err);
MUST_USE int machine_read(const struct machine *machine, const char *path, size_t limit,
			  char **out_data, size_t *out_size, struct err *err);

/* Is there anything? A link at its end is not followed. */
bool machine_has(const struct machine *machine, const char *path);
/* Is there a regular file of this size? */
bool machine_has_file(const struct machine *machine, const char *path, uint64_t size);

/* A short attribute, without trailing white space; "" when it cannot be read. */
void machine_attribute(const struct machine *machine, const char *path, char *out,
		       size_t out_size);

/* Removes drafts that a crash left in an open folder; what cannot be removed is left. */
void machine_wipe_drafts(int dir);

#endif
