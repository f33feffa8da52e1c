/* stamp.h - what the last good run of each moment rested on, so that the next can see nothing changed. */
#ifndef LARDER_STAMP_H
#define LARDER_STAMP_H

#include "cache/facts.h"
#include "cache/plan.h"

#define STAMP_MAX_BYTES 65536
#define STAMP_MAX_DEVICES 256

/* All that a run depends on, as digests. */
struct stamp_inputs {
	struct digest index; /* of index.json, which changes with every blob it leads to */
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

struct stamp_moment {
	bool good; /* false: no good run yet */
	struct stamp_inputs inputs;
	struct stamp_device *device; /* owned */
	size_t count;
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
void stamp_drop(struct stamp *stamp, enum plan_moment moment);

/* Same inputs, and every device of then is still there and bound to that driver? */
bool stamp_fits(const struct stamp_moment *moment, const struct stamp_inputs *inputs,
		const struct facts *facts);

const char *stamp_moment_name(enum plan_moment moment); /* "early", "main" */

#endif
