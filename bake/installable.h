/* installable.h - would these packages install on an image with no repository? Its own database answers, through apt-get or rpm
 * of this host in simulation; nothing in the image is run or changed. */
#ifndef LARDER_INSTALLABLE_H
#define LARDER_INSTALLABLE_H

#include "cache/base/err.h"
#include "cache/unmet.h"

#define INSTALLABLE_MAX_FILES 4096

enum installable_answer {
	INSTALLABLE_YES,
	INSTALLABLE_NOT_KNOWN, /* no tool here, no database there, or the image lacks something already */
	INSTALLABLE_NO,
};

struct installable {
	enum installable_answer answer;
	struct unmet
		unmet; /* what is missing, by name, where the answer is no; what would be removed */
	char text[UNMET_TEXT_MAX + 128]; /* for people, whatever the answer is */
};

/* files: absolute paths of the packages, all .deb or all .rpm, as this host sees them. root: the image's root folder.
 * ERR_INVALID: other files, none, or one that only has the name of an rpm. */
MUST_USE int installable_check(const char *root, const char *const *files, size_t count,
			       struct installable *out, struct err *err);

#endif
