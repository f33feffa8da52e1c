#include "verify/origin.h"

#include <fcntl.h>

#include "verify/far.h"

void origin_close(struct origin *origin)
{
	layout_close(&origin->layout);
	*origin = (struct origin)ORIGIN_NONE;
}

int origin_open(const char *path, bool plain_http, struct log *log, struct origin *out,
		struct err *err)
{
	AUTO_ORIGIN struct origin origin = ORIGIN_NONE;

	origin.remote = far_is(path);
	if (origin.remote ? far_open(path, plain_http, log, &origin.layout, err) < 0
			  : layout_open(AT_FDCWD, path, &origin.layout, err) < 0)
		return -1;
	*out = origin;
	origin = (struct origin)ORIGIN_NONE;
	return 0;
}
