/* resolve_dnf.c - the closure of a target that has dnf. */
#include "bake/resolve.h"

int resolve_dnf(const struct resolve_request *request, struct closure *out, struct err *err)
{
	(void)request;
	(void)out;
	return err_set(err, ERR_INVALID, "dnf: not yet");
}
