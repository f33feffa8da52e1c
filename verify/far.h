/* far.h - caches in registries and on the web. Two programs have one main: larder-verify, which starts quickly and holds no line of
 * HTTP or TLS, and larder-verify-registry, which it starts for a name with oci://, https:// or http://. far_net.c is in the one, far_exec.c
 * in the other. */
#ifndef LARDER_VERIFY_FAR_H
#define LARDER_VERIFY_FAR_H

#include <string.h>

#include "cache/base/log.h"
#include "cache/layout.h"

#define FAR_PROGRAM "larder-verify-registry"

static inline bool far_is(const char *path)
{
	return strncmp(path, "oci://", strlen("oci://")) == 0 ||
	       strncmp(path, "https://", strlen("https://")) == 0 ||
	       strncmp(path, "http://", strlen("http://")) == 0;
}

/* Before all else. */
void far_prepare(void);

/* Where a word of the command line names a registry: becomes the program that can ask it. Returns 0 where this one
 * will do. */
MUST_USE int far_hand_over(char *const *argv, struct err *err);

/* ERR_MISSING: no such name there. ERR_DAMAGED: what is there is no layout. ERR_SYSTEM: whatever else goes wrong
 * on the way, now or later: it says nothing about the cache. */
MUST_USE int far_open(const char *path, bool plain_http, struct log *log,
		      struct layout *out_layout, struct err *err);

#endif
