/* describe.h - all that can be told of a cache, as one JSON document: what ls, show and diff read. */
#ifndef LARDER_DESCRIBE_H
#define LARDER_DESCRIBE_H

#include "bake/place.h"

/* The caller owns the document:
 *   name, serial, created, envelope, signatures[], chain[], sources[], withdrawn[], tables[{name,rows,bytes}],
 *   bundles[]: name, version, id, tables[], rank, kernels[], devices[], sizes[], excludes[], requires[], early, like, secure_boot, link_layer,
 *     record, bytes, carried, selected, withdrawn; and where the record is here, as it stands there without its
 *     chunks: files[], install[], expect, origins[], licence
 * Each row of a record is a bundle of its own; rows that differ in the table alone are one. */
MUST_USE int describe(const struct place *place, json_t **out_document, struct err *err);

/* "NAME VERSION ID" of a bundle in the document. The caller frees. */
char *describe_title(const json_t *bundle);

/* "any", "5.15.0-1050-azure", "5.15.0-1050-azure +2". The caller frees. */
char *describe_short(const json_t *list);

/* "carried", "not carried", "withdrawn". */
const char *describe_state(const json_t *bundle);

/* "12.3 MB". */
#define DESCRIBE_BYTES_MAX 32
char *describe_bytes(uint64_t bytes, char out[DESCRIBE_BYTES_MAX]);

#endif
