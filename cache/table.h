/* table.h - the bundles for one OS, version and architecture, one row each. */
#ifndef LARDER_TABLE_H
#define LARDER_TABLE_H

#include "cache/base/json.h"
#include "cache/digest.h"

#define TABLE_MAX_BYTES (UINT32_C(4) << 20)
#define TABLE_MAX_ROWS 8192
#define TABLE_MAX_LIST 1024 /* kernels, devices, sizes or names in one row */
#define TABLE_MAX_RANK 1000

/* Strings are borrowed from the table's document. */
struct table_row {
	const char *name, *version, *id;
	uint64_t rank; /* the highest wins */
	/* Globs; an empty list of kernels or sizes fits all. */
	struct json_strings kernels, devices, sizes;
	struct json_strings excludes, requires; /* bundle names */
	bool early; /* may be installed before the network is configured */
	bool like; /* also for OSes that name this table's in their ID_LIKE */
	bool secure_boot; /* may be used where Secure Boot is on */
	const char *
		link_layer; /* "InfiniBand" or "Ethernet": only for devices of it; "": for both */
	struct digest_size record;
	uint64_t bytes; /* of all its blobs */
};

struct table {
	json_t *document; /* owned; NULL in a table that was filled in by hand */
	struct table_row *row;
	size_t count;
};
#define AUTO_TABLE __attribute__((cleanup(table_free)))
void table_free(struct table *table);

MUST_USE int table_parse(const char *data, size_t size, struct table *out_table,
			 struct err *err);
/* Compact JSON. The caller frees. */
char *table_text(const struct table *table, size_t *out_size);

/* The order of rows in a table: name, version, id, kernels, record. */
int table_row_compare(const struct table_row *left, const struct table_row *right);

#endif
