/* place.h - what a user calls a cache: a folder, X.tar, oci://HOST/NAME:TAG or https://HOST/PATH; and the cache in it. */
#ifndef LARDER_PLACE_H
#define LARDER_PLACE_H

#include "bake/carry.h"
#include "cache/net/registry.h"

struct place_options {
	const char *trust; /* FILE that proves it; NULL: signatures are not looked at */
	uint64_t floor; /* the least serial */
	bool plain_http;
	bool records; /* keep them in the inventory, for describe */
	const struct blobs *next; /* borrowed: what the blobs of a delta continue; or NULL */
	struct carry_progress
		*progress; /* borrowed: what comes from a registry counts; or NULL */
	struct log *log; /* borrowed */
};

/* An open cache, and what it offers. */
struct place {
	struct cache cache;
	struct inventory inventory;
	struct registry *registry; /* owned; NULL: it is near */
	struct reference reference; /* of a registry; else zero */
};
#define PLACE_NONE                                                                             \
	{                                                                                      \
		.cache = {.layout = LAYOUT_NONE }                                              \
	}
#define AUTO_PLACE __attribute__((cleanup(place_close)))
void place_close(struct place *place);

bool place_is_registry(const char *word);
/* A registry, or the folder of a cache on the web, which is for reading alone. */
bool place_is_far(const char *word);

/* place owns what was opened even on failure; it does not move afterwards. ERR_USAGE: standard input, or parts:
 * they are read once. ERR_REFUSED: a delta, without next. Errors else as cache_open and registry.h. */
MUST_USE int place_open(const char *word, const struct place_options *options,
			struct place *place, struct err *err);

/* The same from a layout that is open, and that is taken. */
MUST_USE int place_open_layout(struct layout *layout, const char *word,
			       const struct place_options *options, struct place *place,
			       struct err *err);

/* The reference of a place to write to, and its registry. ERR_USAGE: no tag can be written. */
MUST_USE int place_open_registry(const char *word, const struct registry_options *options,
				 struct log *log, struct reference *out_reference,
				 struct registry **out_registry, struct err *err);

#endif
