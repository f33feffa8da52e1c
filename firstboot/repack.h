/* repack.h - an installed Debian package, packed again from what of it is on the disk: no repository is needed to have it
 * back. */
#ifndef LARDER_REPACK_H
#define LARDER_REPACK_H

#include "firstboot/tool.h"

#define REPACK_NAME_MAX 192 /* "libibverbs1:amd64", with the NUL */
#define REPACK_ARCHS_MAX 4

struct repack_package {
	char name[REPACK_NAME_MAX]; /* as dpkg tells packages of one name apart */
	uint64_t bytes; /* that it says it takes on the disk */
};

/* Those of a name that are installed, of one architecture each; *out_count may be 0. */
MUST_USE int repack_find(const struct tool *tool, const char *name,
			 struct repack_package out[REPACK_ARCHS_MAX], size_t *out_count,
			 struct err *err);
/* Is this a name that repack_find gives? */
bool repack_name_is_safe(const char *name);

/* ERR_INVALID: it cannot be packed again, since another package has diverted files of it. Looks only. */
MUST_USE int repack_check(const struct tool *tool, const char *name, struct err *err);

/* The configuration files of a package that its owner changed, a path on each line; the caller frees. */
char *repack_changed(const struct tool *tool, const char *name);

/* Makes REPACK_FILE in an open folder of the machine, path to those who run there: files with their owners and modes, control
 * files, relations. Of a configuration file in changed it holds another text, so that dpkg knows it as changed afterwards:
 * whoever installs the package puts the file itself back. */
#define REPACK_FILE "package.deb"
MUST_USE int repack_make(const struct tool *tool, const char *name, const char *changed,
			 int folder, const char *path, struct err *err);

#endif
