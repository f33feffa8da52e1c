/* source.h - the cache of a machine: opened with the machine's own trust and floor, and its tables. */
#ifndef LARDER_SOURCE_H
#define LARDER_SOURCE_H

#include "cache/open.h"
#include "cache/plan.h"
#include "firstboot/machine.h"

struct source {
	struct cache cache;
	struct trust root; /* of /etc/larder */
	uint64_t known; /* version of the trust root that this machine had proven before */
	struct table table[PLAN_MAX_TABLES];
	size_t count;
};
#define SOURCE_NONE                                                                            \
	{                                                                                      \
		.cache = {.layout = LAYOUT_NONE }                                              \
	}
#define AUTO_SOURCE __attribute__((cleanup(source_close)))
void source_close(struct source *source);

/* Verifies before it parses. REASON_DONE, or the reason with err filled: untrusted (also without a
 * trust.json), serial, not_carried (no cache), damaged. */
enum reason source_open(const struct machine *machine, struct source *out_source,
			struct err *err);

/* Once the statement is accepted: keeps a newer version of the trust root that the cache proved, in
 * /var/lib/larder/trust.json. Where that fails, the machine goes on as it was. */
MUST_USE int source_remember(const struct machine *machine, const struct source *source,
			     struct err *err);

/* For errors of reading the cache: what the kernel will not open there is ERR_DAMAGED. */
void source_judge(struct err *err);

/* Reads the tables that fit the facts. REASON_DONE, or the reason with text filled. */
enum reason source_read_tables(struct source *source, const struct facts *facts,
			       char text[PLAN_TEXT_MAX]);

/* As cache_record. REASON_DONE, or the reason with err filled. */
enum reason source_record(const struct source *source, const struct table_row *row,
			  struct record *out_record, struct err *err);

#endif
