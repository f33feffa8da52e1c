#include "firstboot/verbs.h"

/* A run like any other, from the lock to the report; only the way is another. */
int verb_undo(const void *arguments, const struct cli_operands *operands, struct err *err)
{
	struct run_args args = *(const struct run_args *)arguments;

	args.undo = true;
	return verb_run(&args, operands, err);
}
