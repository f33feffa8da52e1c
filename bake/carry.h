/* carry.h - the part of a cache that is carried, in its one order, on its way to a folder, a tar or a registry. */
#ifndef LARDER_CARRY_H
#define LARDER_CARRY_H

#include "cache/base/log.h"
#include "cache/inventory.h"

struct carry_item {
	struct digest_size id;
	const struct layout_doc *doc; /* borrowed from the plan; NULL: a blob of the source */
	const char *title; /* borrowed: of the bundle that it is of; NULL: of none */
};

/* What goes, from the top down: envelope, trust chain, tables, the JSON documents of the layout, records by digest,
 * then all other blobs by digest. */
struct carry_plan {
	const struct cache *cache; /* borrowed */
	const struct inventory *inventory; /* borrowed: bundles that are not carried stay out */
	struct layout_docs docs;
	struct layout_delta delta;
	struct carry_item *item; /* owned; each digest once */
	size_t count;
	uint64_t bytes; /* of the blobs of the bundles, each once */
	uint64_t total; /* of all items */
};
#define AUTO_CARRY_PLAN __attribute__((cleanup(carry_plan_free)))
void carry_plan_free(struct carry_plan *plan);

/* Pure. The same cache and the same bundles give the same plan. ERR_DAMAGED: the envelope has another digest than its
 * name. */
MUST_USE int carry_plan_make(const struct cache *cache, const struct inventory *inventory,
			     struct carry_plan *out, struct err *err);

/* Makes it a delta: what base has of the bundles stays out. The top is whole, so that it can be verified
 * alone. */
void carry_plan_since(struct carry_plan *plan, const struct carry_plan *base);

/* What is shown while it takes time. */
struct carry_progress {
	struct log *log; /* borrowed */
	const char *what; /* "copy" */
	uint64_t done, total; /* bytes; done is that of the items before this one */
};
/* So many bytes of the item under way are there. context is the progress. */
void carry_progress_within(void *context, uint64_t done);

struct carry_counts {
	size_t written, present, mounted; /* blobs, documents not counted */
	uint64_t bytes; /* that were written */
	bool changed; /* the sink's top is another than it was */
};

struct sink {
	const struct sink_kind *kind;
	void *state; /* owned: the kind's */
	struct carry_progress *progress; /* borrowed */
	struct carry_counts counts;
};

/* A kind of place that a cache can be carried to. Whatever is put is hashed on the way: ERR_DAMAGED. A sink that
 * is closed without finish leaves the place with what it offered before. */
struct sink_kind {
	int (*begin)(struct sink *sink, const struct carry_plan *plan, struct err *err);
	/* Is it there already, whole? NULL: never. */
	int (*has)(struct sink *sink, const struct digest_size *id, bool *out_has,
		   struct err *err);
	int (*put_blob)(struct sink *sink, const struct blobs *from,
			const struct digest_size *id, struct err *err);
	/* NULL: finish brings the documents. */
	int (*put_doc)(struct sink *sink, const struct layout_doc *doc, struct err *err);
	/* The last thing: from here on the place offers what the plan says. */
	int (*finish)(struct sink *sink, const struct carry_plan *plan, struct err *err);
	void (*close)(struct sink *sink);
};
#define AUTO_SINK __attribute__((cleanup(sink_close)))
void sink_close(struct sink *sink);

MUST_USE int carry(const struct carry_plan *plan, struct sink *sink,
		   struct carry_progress *progress, struct err *err);

#endif
