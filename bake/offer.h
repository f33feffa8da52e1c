/* offer.h - a manifest's bundle as tables show it. */
#ifndef LARDER_OFFER_H
#define LARDER_OFFER_H

#include "bake/manifest.h"
#include "cache/select.h"

/* The subject of an OS ("debian:12") and an architecture: "linux/debian-12/x86_64". The caller frees. */
char *offer_subject(const char *os, const char *arch);

/* The row of a bundle, whose lists are the manifest's; record and bytes are left for who knows them. */
struct table_row offer_row(const struct manifest *manifest, const struct manifest_bundle *from);

/* One table on its way: rows of bundles for one subject. */
struct offer_table {
	char *name; /* owned */
	struct table table; /* its lists are the manifests' */
};

/* All that manifests offer. Zeroed: nothing yet. */
struct offer {
	struct offer_table *item; /* owned */
	size_t count;
};
#define AUTO_OFFER __attribute__((cleanup(offer_free)))
void offer_free(struct offer *offer);

/* Adds a row to each of the bundle's tables. The manifest must outlive the offer. */
void offer_add(struct offer *offer, const struct manifest *manifest,
	       const struct manifest_bundle *from, const struct digest_size *record,
	       uint64_t bytes);

/* As statements have it: tables by name, rows in their order. ERR_INVALID: a row stands twice. */
MUST_USE int offer_sort(struct offer *offer, struct err *err);

/* Does any of its tables carry it? select NULL: yes. */
bool offer_selected(const struct select *select, const struct manifest *manifest,
		    const struct manifest_bundle *from);

/* ERR_USAGE: not one bundle is selected. */
MUST_USE int offer_check_any(const struct select *select, bool any, struct err *err);

#endif
