/* origin.h - where an audited cache is: a folder, a tar or a registry, and for a delta the base that it continues. */
#ifndef LARDER_VERIFY_ORIGIN_H
#define LARDER_VERIFY_ORIGIN_H

#include "cache/base/log.h"
#include "cache/layout.h"

struct origin {
	struct layout layout; /* may be taken; before origin_close it has to be closed */
	bool remote; /* to open a blob is to fetch it */
};
#define ORIGIN_NONE                                                                            \
	{                                                                                      \
		.layout = LAYOUT_NONE                                                          \
	}
#define AUTO_ORIGIN __attribute__((cleanup(origin_close)))
void origin_close(struct origin *origin);

/* ERR_MISSING: nothing there. ERR_DAMAGED: what is there is no layout. Whatever else goes wrong on the way to a
 * registry, now or later, is ERR_SYSTEM: it says nothing about the cache. */
MUST_USE int origin_open(const char *path, bool plain_http, struct log *log, struct origin *out,
			 struct err *err);

#endif
