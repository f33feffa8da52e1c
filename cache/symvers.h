/* symvers.h - which symbols a kernel has for its modules, and the version of each.
 * Source: Linux scripts/mod/modpost.c (Module.symvers): "0xCRC\tSYMBOL\tMODULE\tEXPORT_TYPE\tNAMESPACE". */
#ifndef LARDER_SYMVERS_H
#define LARDER_SYMVERS_H

#include "cache/ko.h"

#define SYMVERS_MAX_BYTES (UINT32_C(64) << 20)
#define SYMVERS_MAX_ROWS 1000000

struct symvers_row {
	const char *name; /* borrowed from a text that is kept */
	const char *module; /* "vmlinux", "net/core/failover"; "" where it is not known */
	uint32_t crc;
	bool has_crc;
};

/* Filled by any number of calls, in the order of their weight; then settled; then asked. */
struct symvers {
	bool whole; /* every symbol of the kernel is here: one that is not, does not exist */
	struct symvers_row *row; /* owned */
	size_t count, room;
	char **text; /* owned: what rows borrow from */
	size_t text_count;
	bool settled;
};
#define AUTO_SYMVERS __attribute__((cleanup(symvers_free)))
void symvers_free(struct symvers *symvers);

/* A Module.symvers, whole. ERR_INVALID: it is none; nothing was added. */
MUST_USE int symvers_add_file(struct symvers *symvers, const char *text, size_t size,
			      struct err *err);

/* What a module of this kernel asks others for: as good as the kernel's own word, but never whole. */
void symvers_add_needs(struct symvers *symvers, const struct ko *ko);

/* What a module gives to others; name is the module's. */
void symvers_add_exports(struct symvers *symvers, const struct ko *ko, const char *name);

/* Sorts; of two rows with one name the one that was added first stays. */
void symvers_settle(struct symvers *symvers);

/* NULL: not here. Only after symvers_settle. */
const struct symvers_row *symvers_find(const struct symvers *symvers, const char *name);

/* Does any row come from a module of this name? */
bool symvers_has_module(const struct symvers *symvers, const char *name, size_t length);

#endif
