/* packages.h - the packages step in parts: what is asked of dpkg or rpm, and of nobody else. */
#ifndef LARDER_PACKAGES_H
#define LARDER_PACKAGES_H

#include "firstboot/steps.h"

#define PACKAGES_TEXT 256 /* of a name or a version, with the NUL */

struct packages_file {
	char *path; /* owned; as the package manager sees it */
	char name[PACKAGES_TEXT], version[PACKAGES_TEXT]; /* "": it could not be told */
	uint64_t bytes; /* that it says it unpacks to */
};

/* What the machine has of a package. */
struct packages_state {
	bool there; /* in whatever state; of a removed one only its configuration may be left */
	bool config; /* that alone is left */
	bool whole; /* installed and configured */
	bool held;
	char version[PACKAGES_TEXT];
};

struct packages_manager;

struct packages {
	const struct steps *steps;
	const struct packages_manager *manager;
	struct tool tool;
	struct packages_file *file; /* owned */
	size_t count;
};
void packages_free(struct packages *packages);

/* A kind of package manager. */
struct packages_manager {
	const char *tail; /* of its files: ".deb" */
	const char *program;
	const char *scripts; /* a folder its packages' scripts are run from; NULL: none */
	const char *database; /* a folder it writes to */
	bool repacks; /* what is installed can be packed again (repack.h) */
	void (*read)(const struct tool *tool, struct packages_file *file);
	/* Where it is installed more than once: this version, if it is among them. */
	void (*look)(const struct tool *tool, const char *name, const char *version,
		     struct packages_state *out);
	/* What an interrupted call of it left behind is put in order; NULL: it does that itself. */
	enum reason (*repair)(struct packages *packages, struct err *err);
	/* Installs all of packages. */
	enum reason (*install)(struct packages *packages, struct err *err);
	/* Takes these off, whatever state they are in, with their configuration or without. */
	enum reason (*remove)(struct packages *packages, const char *const *names, size_t count,
			      bool config, struct err *err);
	/* Keeps these from being changed by others, or no longer. */
	enum reason (*hold)(struct packages *packages, const struct record_step *step,
			    const char *const *names, size_t count, bool hold, struct err *err);
};
extern const struct packages_manager packages_deb, packages_rpm;

/* Whose files are in a packages step; NULL: not all of one kind. */
const struct packages_manager *packages_manager_of(const struct record_step *step);
struct packages packages_of(const struct steps *steps, const struct packages_manager *manager);
/* Adds the files of a step of a bundle, unread. */
void packages_add(struct packages *packages, const struct steps *steps,
		  const struct record_step *step);

/* The files of a step, one each, read. ERR_INVALID: not all of one kind; ERR_MISSING: no such manager on this machine. */
MUST_USE int packages_open(const struct steps *steps, const struct record_step *step,
			   struct packages *out_packages, struct err *err);
/* Drops those that are there already, whole and in this version. */
void packages_drop_installed(struct packages *packages);

/* For managers: tool_run_locked of head, then count names, or files (NULL). out_output: NULL, or what it said; the caller
 * frees. */
enum reason packages_run(struct packages *packages, const char *const *head,
			 const char *const *names, size_t count, char **out_output,
			 struct err *err);
/* The output of a program that should succeed, or NULL. The caller frees. */
char *packages_ask(const struct tool *tool, const char *const *argv);
bool packages_name_is_safe(const char *name);

#endif
