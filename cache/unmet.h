/* unmet.h - what the simulation of a package manager says is missing. Pure: the managers resolve, this only reads.
 * Source: apt's cmdline ShowBroken ("unmet dependencies"), rpm's rpmpsPrint ("is needed by"). */
#ifndef LARDER_UNMET_H
#define LARDER_UNMET_H

#include <stdbool.h>
#include <stddef.h>

#define UNMET_MAX_NAMES 32
#define UNMET_NAME_MAX 128
#define UNMET_TEXT_MAX 384

struct unmet {
	char name[UNMET_MAX_NAMES][UNMET_NAME_MAX]; /* each once, in the order they were told */
	size_t name_count;
	size_t count; /* dependencies, named above or not */
	char text[UNMET_TEXT_MAX]; /* "base (>= 2) for app, helper for app" */
	char removed[UNMET_TEXT_MAX]; /* what apt would take off: "rdma-core, ibacm" */
};

/* count 0: nothing that it names is missing. */
struct unmet unmet_read(const char *output);

/* Options of apt-get with which it knows no repository, reads no preferences and writes nothing; "--simulate" is among them.
 * Ends with NULL. */
extern const char *const unmet_apt_options[];

#endif
