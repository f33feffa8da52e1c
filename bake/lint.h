/* lint.h - what is wrong with manifests beyond their form: findings, each with its place and a remedy. */
#ifndef LARDER_LINT_H
#define LARDER_LINT_H

#include "bake/manifest.h"

#define LINT_FORMAT "larder.lint.v1"

enum lint_kind {
	LINT_INVALID, /* show --expand refuses it, too */
	LINT_SECRET, /* a URL with a user name, a password or a token */
	LINT_HTTP, /* http without a pin */
	LINT_FIRMWARE, /* an installer that would flash firmware */
	LINT_SHELL, /* a command that is a shell */
	LINT_TARGET, /* a file whose name says another OS or architecture than its bundle */
	LINT_OVERLAP, /* two bundles of equal rank and version for one device */
	LINT_UNREACHABLE, /* a bundle of higher rank serves all that it serves */
	LINT_PIN_UNUSED, /* no bundle takes the URL of a pin */
	LINT_PIN_COPIED, /* one digest for files of two names */
	LINT_TO_PIN, /* no pin yet: many vendors publish no digest */
	LINT_KINDS,
};

/* A bundle of any of the manifests, for what only shows between two. */
struct lint_bundle {
	const char *file; /* borrowed */
	char at[JSON_PATH_MAX];
	json_t *flat; /* owned */
};

struct lint {
	json_t *findings; /* owned: [{"kind","file","at","text","remedy"}], in the order they were found */
	json_t *seen; /* owned: texts of findings */
	struct lint_bundle *bundles;
	size_t bundle_count;
	size_t count[LINT_KINDS];
};
#define AUTO_LINT __attribute__((cleanup(lint_free)))
struct lint lint_new(void);
void lint_free(struct lint *lint);

/* "invalid", "to-pin", ... */
const char *lint_kind_name(enum lint_kind kind);

/* Adds a finding, once. at is where it stands in the file, "" for the file as a whole. */
void lint_add(struct lint *lint, enum lint_kind kind, const char *file, const char *at,
	      const char *format, ...) PRINTF_LIKE(5, 6);
/* The same of an error about the file: "PLACE: TEXT", or "FILE: PLACE: TEXT". */
void lint_add_error(struct lint *lint, const char *file, const struct err *err);

/* One manifest; file is borrowed until lint_free. No disk, no clock. */
void lint_manifest(struct lint *lint, const char *file, const json_t *document,
		   const struct site *site);

/* After the last manifest: what shows only between bundles. */
void lint_between(struct lint *lint);

/* All but LINT_TO_PIN. */
size_t lint_faults(const struct lint *lint);

#endif
