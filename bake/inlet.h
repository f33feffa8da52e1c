/* inlet.h - the bytes of a tar from its front to its end: from standard input, or out of parts. */
#ifndef LARDER_INLET_H
#define LARDER_INLET_H

#include "bake/outlet.h"

#define INLET_SUMS_MAX_BYTES (UINT32_C(512) << 10)

struct inlet {
	int fd; /* the part under way, owned; or standard input, borrowed */
	int dir; /* owned: the folder of the parts; -1: standard input */
	char *name; /* owned: of the tar that the parts are of */
	struct digest *sum; /* owned: of each part */
	size_t parts, next;
};
#define INLET_NONE                                                                             \
	{                                                                                      \
		.fd = -1, .dir = -1                                                            \
	}
#define AUTO_INLET __attribute__((cleanup(inlet_close)))
void inlet_close(struct inlet *inlet);

/* Lines as sha256sum writes them, one for each part of base, in order from 000. Pure. The caller frees.
 * ERR_INVALID: anything else. */
MUST_USE int inlet_parse_sums(const char *text, const char *base, struct digest **out_sums,
			      size_t *out_count, struct err *err);

/* path "-": standard input; else the list of parts. ERR_MISSING: a part that the list has is not there.
 * ERR_DAMAGED: one is there that the list has not. */
MUST_USE int inlet_open(const char *path, struct inlet *out, struct err *err);

/* Exactly size bytes. A part is hashed as a whole before a byte of it is used. ERR_DAMAGED: the end came first,
 * or a part is another than the list says. */
MUST_USE int inlet_read(struct inlet *inlet, void *out, size_t size, struct err *err);
/* ERR_DAMAGED: more follows. */
MUST_USE int inlet_end(struct inlet *inlet, struct err *err);

#endif
