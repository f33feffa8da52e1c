/* result.h - what an audit found. */
#ifndef LARDER_RESULT_H
#define LARDER_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/digest.h"

#define VERIFY_MAX_FINDINGS 1000 /* that are kept; more are counted */

/* The exit codes; 1: could not be checked. Worst first: 4, 3, 5, 6, 1. */
enum verify_code {
	VERIFY_CLEAN = 0,
	VERIFY_UNCHECKED = 1,
	VERIFY_DAMAGED = 3,
	VERIFY_UNTRUSTED = 4,
	VERIFY_INCOMPLETE = 5,
	VERIFY_STALE = 6,
};

struct verify_finding {
	enum verify_code code;
	uint64_t
		order; /* where it stands in the cache: table by table, row by row, file by file */
	char *text; /* owned */
};

/* What is wrong with the layout, none of which is signed. */
enum verify_layout {
	VERIFY_FOREIGN, /* a name, a link, a device or a folder that no cache has */
	VERIFY_EXTRA, /* a blob that nothing leads to */
	VERIFY_MODIFIED, /* a document that larder would write otherwise for what is here */
	VERIFY_MISSING, /* what a document says is here, and is not */
};

struct verify_remark {
	enum verify_layout kind;
	char *text; /* owned */
};

struct verify_bundle {
	char *name, *version, *id; /* owned */
	struct digest_size record;
	struct digest_size *blobs; /* owned; each once; none where the record is not here */
	size_t blob_count;
	uint64_t bytes; /* of its blobs, as the row says */
	bool carried; /* the record is good and every blob is here */
	bool damaged; /* something of it is here and wrong */
	bool withdrawn; /* by the statement */
};

/* Zeroed: nothing yet. */
struct verify_result {
	int code; /* the worst finding's */
	uint64_t serial;
	uint64_t root, trust; /* versions: the one that was given, the newest proven from it */
	char base[DIGEST_TEXT_MAX]; /* of a delta: the envelope it continues; else "" */
	uint64_t base_serial;
	bool with_base; /* and it was looked into */
	size_t bundles, carried, withdrawn; /* withdrawn: of those that are carried */
	size_t blobs;
	uint64_t bytes; /* of the blobs that were read */
	struct verify_finding *finding; /* owned; worst first, then by order */
	size_t finding_count, more_findings;
	bool layout_whole; /* all of it was judged: what it rests on is here, and good */
	int layout_code; /* the worst remark's: missing is incomplete, all else damaged */
	struct verify_remark *remark; /* owned; sorted */
	size_t remark_count, more_remarks;
	struct verify_bundle *bundle; /* owned; in the order of the tables */
	size_t bundle_count;
};
void verify_result_free(struct verify_result *result);

const char *verify_code_name(int code);
const char *verify_layout_name(enum verify_layout kind);

/* top: the cache itself could not be opened; nothing being there is no finding then, but no answer. */
void result_find(struct verify_result *result, const struct err *err, uint64_t order, bool top);
void result_remark(struct verify_result *result, enum verify_layout kind, const char *format,
		   ...) PRINTF_LIKE(3, 4);

/* Puts findings and remarks in their order; strict: remarks count. */
void result_end(struct verify_result *result, bool strict);

#endif
