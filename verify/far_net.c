#include <openssl/crypto.h>

#include "cache/net/remote.h"
#include "verify/far.h"

/* The blobs of a registry; only errors become others. */
struct outer {
	struct blobs inner;
	struct registry *registry;
};

/* A login that is refused, or a network that is down, is no judgement of the cache. */
static int judged(int result, struct err *err)
{
	if (result < 0 && err->kind != ERR_MISSING && err->kind != ERR_DAMAGED)
		err->kind = ERR_SYSTEM;
	return result;
}

static int outer_look(const struct blobs *blobs, const struct digest_size *id,
		      uint64_t *out_size, struct err *err)
{
	const struct blobs *inner = &((const struct outer *)blobs->state)->inner;

	return judged(inner->kind->look(inner, id, out_size, err), err);
}

static int outer_open(const struct blobs *blobs, const struct digest_size *id,
		      struct blob *out_blob, struct err *err)
{
	const struct blobs *inner = &((const struct outer *)blobs->state)->inner;

	return judged(inner->kind->open(inner, id, out_blob, err), err);
}

static int outer_open_manifest(const struct blobs *blobs, const struct digest_size *id,
			       struct blob *out_blob, struct err *err)
{
	const struct blobs *inner = &((const struct outer *)blobs->state)->inner;

	return judged(inner->kind->open_manifest(inner, id, out_blob, err), err);
}

static void outer_close(struct blobs *blobs)
{
	struct outer *outer = (struct outer *)blobs->state;

	blobs_close(&outer->inner);
	registry_close(&outer->registry);
	free(outer);
}

static const struct blobs_kind outer_kind = { .look = outer_look,
					      .open = outer_open,
					      .open_manifest = outer_open_manifest,
					      .close = outer_close };

static int open_layout(struct outer *outer, const char *path, bool plain_http, struct log *log,
		       struct layout *out_layout, struct err *err)
{
	const struct registry_options options = { .plain_http = plain_http };

	if (registry_open_source(path, &options, log, &outer->registry, err) < 0)
		return -1;
	return remote_open(outer->registry, out_layout, err);
}

/* TLS needs more of OpenSSL than key_prepare leaves. */
void far_prepare(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

int far_hand_over(char *const *argv, struct err *err)
{
	(void)argv, (void)err;
	return 0;
}

int far_open(const char *path, bool plain_http, struct log *log, struct layout *out_layout,
	     struct err *err)
{
	struct outer *outer = must_calloc(1, sizeof(*outer));

	if (judged(open_layout(outer, path, plain_http, log, out_layout, err), err) < 0) {
		registry_close(&outer->registry);
		free(outer);
		return -1;
	}
	outer->inner = out_layout->blobs;
	out_layout->blobs = (struct blobs) { .kind = &outer_kind, .dir = -1, .state = outer };
	return 0;
}
