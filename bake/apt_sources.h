/* apt_sources.h - what sources.list(5) says, in either of its forms, made fit for another place. Pure. */
#ifndef LARDER_APT_SOURCES_H
#define LARDER_APT_SOURCES_H

#include <stdbool.h>

#include "cache/base/err.h"

#define APT_SOURCES_MAX_BYTES (UINT32_C(1) << 20)

/* Gives the path that a keyring (an absolute path) has in the other place. The caller frees *out. */
typedef int apt_sources_keyring(void *context, const char *path, char **out, struct err *err);

/* A copy of the text; where keyring is not NULL, with every keyring that signed-by names replaced. The caller
 * frees. ERR_REFUSED: a source that apt is to believe without a signature, or one that is not plainly written. */
MUST_USE int apt_sources_copy(const char *text, bool deb822, apt_sources_keyring *keyring,
			      void *context, char **out, struct err *err);

#endif
