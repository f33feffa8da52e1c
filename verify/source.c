#include "verify/source.h"

#include <fcntl.h>
#include <string.h>

#include "cache/net/remote.h"

#define REGISTRY_PREFIX "oci://"

void source_close(struct source *source)
{
	layout_close(&source->layout);
	registry_close(&source->registry);
	*source = (struct source)SOURCE_NONE;
}

/* A login that is refused, or a network that is down, is no judgement of the cache. */
static int judged(int result, struct err *err)
{
	if (result < 0 && err->kind != ERR_MISSING && err->kind != ERR_DAMAGED)
		err->kind = ERR_SYSTEM;
	return result;
}

/* The blobs of a registry; only errors become others. */
static int far_look(const struct blobs *blobs, const struct digest *digest, uint64_t *out_size,
		    struct err *err)
{
	const struct blobs *inner = blobs->state;

	return judged(inner->kind->look(inner, digest, out_size, err), err);
}

static int far_open(const struct blobs *blobs, const struct digest_size *id,
		    struct blob *out_blob, struct err *err)
{
	const struct blobs *inner = blobs->state;

	return judged(inner->kind->open(inner, id, out_blob, err), err);
}

static int far_open_manifest(const struct blobs *blobs, const struct digest_size *id,
			     struct blob *out_blob, struct err *err)
{
	const struct blobs *inner = blobs->state;

	return judged(inner->kind->open_manifest(inner, id, out_blob, err), err);
}

static void far_close(struct blobs *blobs)
{
	blobs_close(blobs->state);
	free(blobs->state);
	blobs->state = NULL;
}

static const struct blobs_kind far_kind = { .look = far_look,
					    .open = far_open,
					    .open_manifest = far_open_manifest,
					    .close = far_close };

static void put_far(struct layout *layout)
{
	struct blobs *inner = must_calloc(1, sizeof(*inner));

	*inner = layout->blobs;
	layout->blobs = (struct blobs) { .kind = &far_kind, .dir = -1, .state = inner };
}

static int open_registry(const char *path, bool plain_http, struct log *log, struct source *out,
			 struct err *err)
{
	const struct registry_options options = { .plain_http = plain_http };
	struct reference reference;

	if (reference_parse(path, &reference, err) < 0)
		return err_wrap(err, "%s", path);
	if (registry_open(&reference, &options, log, &out->registry, err) < 0)
		return -1;
	out->remote = true;
	if (remote_open(out->registry, &out->layout, err) < 0)
		return -1;
	put_far(&out->layout);
	return 0;
}

int source_open(const char *path, bool plain_http, struct log *log, struct source *out,
		struct err *err)
{
	AUTO_SOURCE struct source source = SOURCE_NONE;

	if (strncmp(path, REGISTRY_PREFIX, strlen(REGISTRY_PREFIX)) == 0) {
		if (judged(open_registry(path, plain_http, log, &source, err), err) < 0)
			return -1;
	} else if (layout_open(AT_FDCWD, path, &source.layout, err) < 0) {
		return -1;
	}
	*out = source;
	source = (struct source)SOURCE_NONE;
	return 0;
}
