/* closure.h - the packages that a target lacks for what is asked of it: what a resolver printed, taken apart. */
#ifndef LARDER_CLOSURE_H
#define LARDER_CLOSURE_H

#include <stdbool.h>
#include <stddef.h>

#include "bake/apt_text.h"

#define CLOSURE_MAX_PACKAGES 4096

struct closure_package {
	char name[APT_NAME_MAX], version[APT_NAME_MAX], arch[APT_NAME_MAX];
	char file[APT_NAME_MAX]; /* a safe name, without an epoch */
	char origin[APT_ORIGIN_MAX]; /* who published it, no host: "Debian:12.11/oldstable" */
	char *url; /* owned: where the repository has it */
	char *member; /* owned: or where it lies in the file that holds the repository */
	struct digest_size content; /* from the repository's index */
	bool check; /* its own signature has to be checked; not in a lock */
};

struct closure {
	struct closure_package *package; /* owned; sorted by file */
	size_t count;
};
#define AUTO_CLOSURE __attribute__((cleanup(closure_free)))
void closure_free(struct closure *closure);

/* What "apt-get install" prints with --simulate, and with --print-uris: the one knows origins, the other digests.
 * ERR_INVALID: they do not fit together, or a line has another form. ERR_REFUSED: something would be
 * removed from the target. */
MUST_USE int closure_parse_apt(const char *simulated, const char *uris, struct closure *out,
			       struct err *err);

/* What resolve_dnf.c has dnf print: a line for each package, fields between tabs. Errors as above. */
MUST_USE int closure_parse_dnf(const char *output, struct closure *out, struct err *err);

/* Why apt cannot install something: the first dependency that it says is not met, of this package, or of any (NULL). */
struct closure_unmet {
	char package[APT_NAME_MAX]; /* that wants it */
	char wanted[APT_NAME_MAX]; /* the name */
	char range[APT_NAME_MAX]; /* "(>= 1.3.9)", or "" */
	char why[APT_NAME_MAX]; /* "it is not installable" */
	bool deeper; /* wanted is there, but cannot be installed either */
};
bool closure_parse_unmet(const char *output, const char *package, struct closure_unmet *out);

#endif
