/* stamp.h - what the last good run of each moment rested on, so that the next can see nothing changed. */
#ifndef LARDER_STAMP_H
#define LARDER_STAMP_H

#include "cache/facts.h"
#include "cache/plan.h"
#include "firstboot/machine.h"

#define STAMP_NAME "stamp" /* in the state folder */
#define STAMP_MAX_BYTES (UINT32_C(1) << 20)
#define STAMP_MAX_DEVICES 256
#define STAMP_MAX_FILES 1024 /* that are looked for; of more, the first */
#define STAMP_PATH_MAX 512

/* All that a run depends on, as digests. */
struct stamp_inputs {
	struct digest index; /* of index.json, which changes with every blob it leads to */
	struct digest envelope; /* of the carried envelope's bytes, which name its blob */
	struct digest stored; /* of the stored envelope's bytes */
	struct digest trust; /* of trust.json */
	struct digest policy; /* of floor, configuration and machine id */
	struct digest facts;
};

/* A device that was proven, and the driver it was bound to. */
struct stamp_device {
	char bus[16];
	char address[64];
	char driver[64];
};

/* A file that a step put in place. */
struct stamp_file {
	char *path; /* owned; on the machine */
	uint64_t size;
};

struct stamp_moment {
	bool good; /* false: no good run yet */
	struct stamp_inputs inputs;
	struct stamp_device *device; /* owned */
	size_t count;
	struct stamp_file *file; /* owned */
	size_t file_count;
};

struct stamp {
	struct stamp_moment moment[2]; /* by enum plan_moment */
};
#define AUTO_STAMP __attribute__((cleanup(stamp_free)))
void stamp_free(struct stamp *stamp);

/* Reads the stamp in dir. One that is missing, malformed or of another agent version is as none. */
void stamp_load(int dir, struct stamp *out_stamp);
MUST_USE int stamp_save(int dir, const struct stamp *stamp, struct err *err);

/* Replaces what a moment says. devices are copied. */
void stamp_set(struct stamp *stamp, enum plan_moment moment, const struct stamp_inputs *inputs,
	       const struct stamp_device *devices, size_t count);
/* Adds a file to a moment that was set; what does not fit the limits is left out. */
void stamp_add_file(struct stamp *stamp, enum plan_moment moment, const char *path,
		    uint64_t size);
void stamp_drop(struct stamp *stamp, enum plan_moment moment);

/* Same inputs, and every device of then is still there and bound to that driver? */
bool stamp_fits(const struct stamp_moment *moment, const struct stamp_inputs *inputs,
		const struct facts *facts);

/* Is every file of then still there, with its size? */
bool stamp_files_stand(const struct stamp_moment *moment, const struct machine *machine);

const char *stamp_moment_name(enum plan_moment moment); /* "early", "main" */

#endif
