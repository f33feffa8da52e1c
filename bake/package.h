/* package.h - a cache as a deb or an rpm, for the package channel that a site has.
 *
 * The package has one file of weight, FOLDER/NAME.tar: package managers bring a file by renaming it, so an upgrade that
 * breaks off leaves the old tar or the new one. It installs no driver: its script asks systemd for a run of the agent
 * outside of the transaction. */
#ifndef LARDER_PACKAGE_H
#define LARDER_PACKAGE_H

#include "bake/carry.h"

#define PACKAGE_FOLDER "usr/lib/larder/packages"
#define PACKAGE_NAME_MAX 192

enum package_kind { PACKAGE_DEB, PACKAGE_RPM };

/* What both kinds say. */
struct package {
	char name
		[PACKAGE_NAME_MAX]; /* larder-cache-NAME: a-z 0-9 + . -; of the statement's name */
	const char *file; /* NAME: within name */
	uint64_t serial; /* the version */
	int64_t time; /* seconds since 1970: the statement's, so that the same cache is the same package */
	uint64_t bytes; /* of the tar */
	size_t carried, bundles;
};
/* Pure. */
void package_describe(const struct carry_plan *plan, struct package *out);

extern const char package_script[]; /* runs once the files are there */
extern const char package_summary[], package_text[]; /* for people */

/* path is written whole or not at all. ERR_USAGE: too large for this kind. ERR_MISSING: an rpm without rpmbuild. */
MUST_USE int package_write(enum package_kind kind, const char *path,
			   const struct carry_plan *plan, struct carry_progress *progress,
			   struct carry_counts *out_counts, struct err *err);

/* package_deb.c: all of the file before and behind the bytes of the tar; the caller frees. ERR_USAGE: too large. */
MUST_USE int package_deb_front(const struct package *package, char **out_data, size_t *out_size,
			       struct err *err);
size_t package_deb_rest(const struct package *package); /* zeros */

/* package_rpm.c: the tar lies at top/FILE.tar; rpmbuild works in top, which has a plain path. The caller frees out_path. */
MUST_USE int package_rpm_build(const struct package *package, int top, const char *top_path,
			       char **out_path, struct err *err);

#endif
