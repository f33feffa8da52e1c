/* offer.h - a manifest's bundle as tables show it. */
#ifndef LARDER_OFFER_H
#define LARDER_OFFER_H

#include "bake/manifest.h"
#include "cache/select.h"

/* The subject of an OS ("debian:12") and an architecture: "linux/debian-12/x86_64". The caller frees. */
char *offer_subject(const char *os, const char *arch);

/* The row of a bundle, whose lists are the manifest's; record and bytes are left for who knows them. */
struct table_row offer_row(const struct manifest *manifest, const struct manifest_bundle *from);

/* Does any of its tables carry it? select NULL: yes. */
bool offer_selected(const struct select *select, const struct manifest *manifest,
		    const struct manifest_bundle *from);

/* ERR_INVALID: not one bundle is selected. */
MUST_USE int offer_check_any(const struct select *select, bool any, struct err *err);

#endif
