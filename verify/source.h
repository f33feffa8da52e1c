/* source.h - where an audited cache is: a folder, a tar or a registry, and for a delta the base that it continues. */
#ifndef LARDER_VERIFY_SOURCE_H
#define LARDER_VERIFY_SOURCE_H

#include "cache/base/log.h"
#include "cache/layout.h"

struct source {
	struct layout layout; /* may be taken; before source_close it has to be closed */
	bool remote; /* to open a blob is to fetch it */
};
#define SOURCE_NONE                                                                            \
	{                                                                                      \
		.layout = LAYOUT_NONE                                                          \
	}
#define AUTO_SOURCE __attribute__((cleanup(source_close)))
void source_close(struct source *source);

/* ERR_MISSING: nothing there. ERR_DAMAGED: what is there is no layout. Whatever else goes wrong on the way to a
 * registry, now or later, is ERR_SYSTEM: it says nothing about the cache. */
MUST_USE int source_open(const char *path, bool plain_http, struct log *log, struct source *out,
			 struct err *err);

#endif
