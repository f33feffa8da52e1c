/* coverage_check.h - would an image take what is chosen for it: its kernel the modules, its package manager the packages? */
#ifndef LARDER_COVERAGE_CHECK_H
#define LARDER_COVERAGE_CHECK_H

#include "bake/replay.h"

/* An image, and what it was asked already. */
struct coverage_check {
	const char *path; /* borrowed: its root folder */
	int root; /* the same, open */
	bool secure_boot;
	json_t *memo; /* owned: answers, by what was asked */
};
#define COVERAGE_CHECK_NONE                                                                    \
	{                                                                                      \
		.root = -1                                                                     \
	}
#define AUTO_COVERAGE_CHECK __attribute__((cleanup(coverage_check_close)))
MUST_USE int coverage_check_open(const char *root, bool secure_boot,
				 struct coverage_check *check, struct err *err);
void coverage_check_close(struct coverage_check *check);

enum coverage_answer { COVERAGE_FITS, COVERAGE_NOT_COMPARED, COVERAGE_DOES_NOT_FIT };

struct coverage_verdict {
	enum coverage_answer answer;
	enum reason reason; /* REASON_DONE unless it does not fit */
	const char *remedy; /* borrowed; NULL: that of the reason */
	char text[PLAN_TEXT_MAX]; /* for people, whatever the answer is */
};

/* Of a choice whose bundles are carried, as the agent would judge it before it installs: the modules against the image's kernel
 * of this release, the packages against its database. facts: of the machine, which has this image. Only a damaged cache is a reason of its own;
 * what cannot be done here, such as a tool that this host lacks, is not compared. */
struct coverage_verdict coverage_check(struct coverage_check *check, const struct place *place,
				       const struct plan_choice *choice,
				       const struct facts *facts);

#endif
