/* manifest.h - what a driver family is: a flat list of bundles, read from a manifest file. */
#ifndef LARDER_MANIFEST_H
#define LARDER_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/json.h"
#include "cache/digest.h"
#include "cache/name.h"

#define MANIFEST_MAX_BYTES (UINT32_C(8) << 20)
#define MANIFEST_MAX_BUNDLES 4096
#define MANIFEST_MAX_LIST 1024 /* elements of one array field, sets spliced in */
/* Bytes of all bundles written out: their texts, and MANIFEST_VALUE_BYTES for each value. */
#define MANIFEST_MAX_EXPANDED (UINT32_C(32) << 20)
#define MANIFEST_VALUE_BYTES 64

/* All strings are borrowed from the manifest's flat document and live as long as it. */

struct manifest_pin {
	const char *url;
	struct digest digest;
	uint64_t size; /* bytes; 0: not known yet */
	bool pinned; /* false: the URL has no pin, only fetch --pin may take it */
};

enum manifest_take_kind { MANIFEST_TAKE_FILE, MANIFEST_TAKE_PACKAGES, MANIFEST_TAKE_CLOSURE };

struct manifest_take {
	enum manifest_take_kind kind;
	/* For MANIFEST_TAKE_FILE; or where a closure has a repository in a file. */
	const struct manifest_pin *file;
	const char *repo; /* glob over folders in that file; else NULL */
	struct json_strings packages; /* of the build host's distribution, or for the closure */
	const char *closure; /* the target; NULL: no closure */
	struct json_strings members; /* globs over archive paths; empty: the file itself */
	const char *into; /* a folder in the bundle, "." for its top */
	bool tree; /* into is one tree, in which members keep their paths */
};

struct manifest_bundle {
	const char *id, *version;
	uint64_t rank;
	bool early, like, secure_boot;
	struct json_strings os; /* "debian:12", or "any" */
	struct json_strings arch, kernels, devices, sizes, excludes, requires;
	struct manifest_take *takes;
	size_t take_count;
	const json_t *install; /* array of steps, file globs still in it */
	const json_t *expect; /* object, or NULL */
};

struct manifest {
	json_t *flat; /* owned: what show --expand prints */
	const char *path; /* borrowed: the manifest's file name */
	const char *name;
	const char *licence_id;
	bool licence_accept; /* acceptance is wanted before baking */
	struct manifest_pin *pins;
	size_t pin_count;
	struct manifest_bundle *bundles;
	size_t bundle_count;
};
#define AUTO_MANIFEST __attribute__((cleanup(manifest_free)))

/* The site file: sets, sources and what is withdrawn. Zeroed: no site file. */
struct site {
	json_t *document; /* owned */
	const char *path; /* borrowed: the site file's name, for errors */
};
#define AUTO_SITE __attribute__((cleanup(site_free)))
#define SITE_URL_MAX (2 * NAME_TEXT_MAX_BYTES + 1) /* of a URL behind a mirror, with the NUL */

MUST_USE int site_load(const char *path, struct site *out_site, struct err *err);
void site_free(struct site *site);

/* Writes the URL to fetch from in place of url, which is canonical: behind the mirror with the
 * longest prefix of it, or url itself. A mirror may be http: only a pin makes that safe. */
const char *site_mirror(const struct site *site, const char *url, char out[SITE_URL_MAX]);

/* Arrays of strings, borrowed, for the statement; NULL where the site has none. */
const json_t *site_sources(const struct site *site);
const json_t *site_withdrawn(const struct site *site); /* "name@version" */

/* One of its repositories, already checked, or NULL. */
const json_t *site_repo(const struct site *site, const char *name);
/* A path in the site file as seen from here: relative ones begin at the site file's folder. The caller frees. */
char *site_path(const struct site *site, const char *path);

/* Has the organisation accepted this licence? ERR_REFUSED: no, or not in full yet. */
MUST_USE int site_check_licence(const struct site *site, const char *id, struct err *err);

/* What a file among manifests is: folders of them are named whole. */
enum manifest_sort {
	MANIFEST_SORT_OWN, /* a manifest, or nothing that is known */
	MANIFEST_SORT_SITE,
	MANIFEST_SORT_LOCK,
	MANIFEST_SORT_SCHEMA,
};
enum manifest_sort manifest_sort_of(const json_t *document);

/* Reads, expands (MANIFEST.md rules 1 to 3) and checks one manifest. Every error begins with the
 * path of the file and names the field: "m.json: bundles[2].take[0].into: ...". The caller owns the
 * flat document. */
MUST_USE int manifest_expand(const char *path, const struct site *site, json_t **out_flat,
			     struct err *err);

/* As manifest_expand, with the flat document taken apart. */
MUST_USE int manifest_load(const char *path, const struct site *site,
			   struct manifest *out_manifest, struct err *err);
void manifest_free(struct manifest *manifest);

#endif
