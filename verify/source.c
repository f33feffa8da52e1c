#include "verify/source.h"

#include <fcntl.h>

#include "verify/far.h"

void source_close(struct source *source)
{
	layout_close(&source->layout);
	*source = (struct source)SOURCE_NONE;
}

int source_open(const char *path, bool plain_http, struct log *log, struct source *out,
		struct err *err)
{
	AUTO_SOURCE struct source source = SOURCE_NONE;

	source.remote = far_is(path);
	if (source.remote ? far_open(path, plain_http, log, &source.layout, err) < 0
			  : layout_open(AT_FDCWD, path, &source.layout, err) < 0)
		return -1;
	*out = source;
	source = (struct source)SOURCE_NONE;
	return 0;
}
