/* verify.h - every signed byte of a cache that is here, checked.
 *
 * Findings (result.h) are about what is signed, and give the exit code. Remarks are about the layout, which nobody
 * signs: files that nothing leads to, documents other than larder writes them. A verifier of FORMAT.md section 8
 * does not look at them; they give the exit code only where verify_options.layout asks for it. */
#ifndef LARDER_VERIFY_H
#define LARDER_VERIFY_H

#include "cache/base/log.h"
#include "cache/select.h"
#include "cache/trust.h"
#include "verify/result.h"

/* All but trust may be zero. */
struct verify_options {
	const struct trust *trust; /* borrowed: the root */
	uint64_t least_serial;
	const struct select *select; /* borrowed: only these tables and rows are read, and the
				      * layout is not looked at; NULL: everything */
	unsigned threads; /* 0: one for each core */
	bool layout; /* remarks count */
	const char *base; /* of a delta: where the rest is; or NULL */
	bool plain_http; /* for registries */
	struct log *log; /* borrowed; NULL: says nothing */
};

/* path: a folder, our tar, or oci://HOST/NAME:TAG. Never fails: what cannot be read is a finding. */
void verify_cache(const char *path, const struct verify_options *options,
		  struct verify_result *out);

/* The same on one thread, with nothing asked for. */
void verify_folder(const char *path, const struct trust *trust, uint64_t least_serial,
		   struct verify_result *out);

#endif
