/* dropin.h - a small file that a step writes as a whole, and takes back. */
#ifndef LARDER_DROPIN_H
#define LARDER_DROPIN_H

#include "firstboot/steps.h"

#define DROPIN_MAX_BYTES 65536

struct dropin {
	const char *folder; /* absolute, on the machine; made where it is missing */
	const char *name;
	mode_t mode;
	const char *text;
};

/* Its name for a step: 90-larder-NAME.conf, with a number where a bundle has several steps of that kind. */
#define DROPIN_NAME_MAX 192
const char *dropin_name(const struct steps *steps, const struct record_step *step,
			char out[DROPIN_NAME_MAX]);

/* What stood there is kept (undo.h) before it is written; the same text there already: nothing is done. */
MUST_USE int dropin_put(const struct steps *steps, const struct record_step *step,
			const struct dropin *dropin, struct err *err);
/* text is not looked at. */
MUST_USE int dropin_take_back(const struct steps *steps, const struct record_step *step,
			      const struct dropin *dropin, struct err *err);
bool dropin_stands(const struct steps *steps, const struct dropin *dropin);

#endif
