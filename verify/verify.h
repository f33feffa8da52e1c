/* verify.h - every signed byte of a cache that is here, checked. */
#ifndef LARDER_VERIFY_H
#define LARDER_VERIFY_H

#include <stdio.h>

#include "cache/base/json.h"
#include "cache/trust.h"

enum verify_code {
	VERIFY_CLEAN = 0,
	VERIFY_DAMAGED = 3,
	VERIFY_UNTRUSTED = 4,
	VERIFY_INCOMPLETE = 5,
	VERIFY_STALE = 6,
};

struct verify_finding {
	enum verify_code code;
	char text[ERR_TEXT_MAX];
};

struct verify_result {
	int code; /* the worst finding's; 1 when there was nothing to check */
	uint64_t serial;
	uint64_t root, trust; /* versions: the one that was given, the newest proven from it */
	size_t bundles, carried, blobs;
	uint64_t bytes; /* of the blobs that were read */
	struct verify_finding *finding; /* owned */
	size_t finding_count;
};

/* Never fails: what cannot be read is a finding. */
void verify_folder(const char *path, const struct trust *trust, uint64_t least_serial,
		   struct verify_result *out);
void verify_result_free(struct verify_result *result);

json_t *verify_json(const char *path, const struct verify_result *result);
void verify_print(const char *path, const struct verify_result *result, FILE *to);

#endif
