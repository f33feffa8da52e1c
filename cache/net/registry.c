#include "cache/net/registry.h"

#include <inttypes.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/layout_tar.h"
#include "cache/net/registry_ask.h"

#define MANIFEST_TYPES                                                                         \
	"application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"

/* what: a tag or a digest. The answer's body is the manifest, and its size is within limits. */
static int ask_manifest(struct registry *registry, const char *what,
			struct http_answer *out_answer, struct err *err)
{
	AUTO_FREE char *url = registry_url(registry, "manifests", what);
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.accept = MANIFEST_TYPES,
		.limit = REGISTRY_MANIFEST_MAX_BYTES,
	};

	if (registry_ask_good(registry, &request, out_answer, err) < 0)
		return err_wrap(err, "manifest %s", what);
	if (out_answer->status != 200 || !out_answer->body)
		return err_set(err, ERR_INVALID,
			       "manifest %s: answered with status %ld and %zu bytes", what,
			       out_answer->status, out_answer->size);
	return 0;
}

static int resolve(struct registry *registry, struct digest_size *out_id, char **out_data,
		   struct err *err)
{
	const struct reference *reference = &registry->reference;
	AUTO_ANSWER struct http_answer answer = { 0 };
	char text[DIGEST_TEXT_MAX];
	const char *what =
		reference->by_digest ? digest_text(&reference->digest, text) : reference->tag;
	struct digest_size id;

	if (ask_manifest(registry, what, &answer, err) < 0)
		return -1;
	id.size = answer.size;
	digest_of(answer.body, answer.size, &id.digest);
	if (reference->by_digest && !digest_equal(&id.digest, &reference->digest))
		return err_set(err, ERR_DAMAGED,
			       "manifest %s: other bytes than its digest says", what);
	if (registry_check_digest(&answer, &id.digest, err) < 0)
		return err_wrap(err, "manifest %s", what);
	*out_id = id;
	*out_data = take_ptr(&answer.body);
	return 0;
}

int registry_resolve(struct registry *registry, struct digest_size *out_id, char **out_data,
		     struct err *err)
{
	return registry_named(registry, resolve(registry, out_id, out_data, err), err);
}

static int get_top(struct registry *registry, size_t limit, struct http_answer *out_answer,
		   struct err *err)
{
	AUTO_FREE char *url = must_printf("%s/" LAYOUT_TOP_NAME, registry->folder);
	const struct http_request request = { .method = "GET", .url = url, .limit = limit };

	if (registry_ask_good(registry, &request, out_answer, err) < 0)
		return err_wrap(err, LAYOUT_TOP_NAME);
	if (out_answer->status != 200 || !out_answer->body)
		return err_set(err, ERR_INVALID,
			       LAYOUT_TOP_NAME ": answered with status %ld and %zu bytes",
			       out_answer->status, out_answer->size);
	return 0;
}

int registry_get_top(struct registry *registry, size_t limit, char **out_data, size_t *out_size,
		     struct err *err)
{
	AUTO_ANSWER struct http_answer answer = { 0 };

	if (get_top(registry, limit, &answer, err) < 0)
		return registry_named(registry, -1, err);
	*out_size = answer.size;
	*out_data = take_ptr(&answer.body);
	return 0;
}

static int get_manifest(struct registry *registry, const struct digest_size *id,
			char **out_data, struct err *err)
{
	AUTO_ANSWER struct http_answer answer = { 0 };
	char what[DIGEST_TEXT_MAX];
	struct digest found;

	digest_text(&id->digest, what);
	if (id->size > REGISTRY_MANIFEST_MAX_BYTES)
		return err_set(err, ERR_INVALID, "manifest %s: larger than %u bytes", what,
			       (unsigned)REGISTRY_MANIFEST_MAX_BYTES);
	if (ask_manifest(registry, what, &answer, err) < 0)
		return -1;
	digest_of(answer.body, answer.size, &found);
	if (answer.size != id->size || !digest_equal(&found, &id->digest))
		return err_set(err, ERR_DAMAGED,
			       "manifest %s: other bytes than its digest says", what);
	*out_data = take_ptr(&answer.body);
	return 0;
}

int registry_get_manifest(struct registry *registry, const struct digest_size *id,
			  char **out_data, struct err *err)
{
	return registry_named(registry, get_manifest(registry, id, out_data, err), err);
}

static const struct {
	const char *name, *folder, *accept;
} things[] = {
	[REGISTRY_BLOB] = { "blob", "blobs", NULL },
	[REGISTRY_MANIFEST] = { "manifest", "manifests", MANIFEST_TYPES },
};

int registry_look(struct registry *registry, enum registry_thing thing,
		  const struct digest *digest, uint64_t *out_size, struct err *err)
{
	char what[DIGEST_TEXT_MAX];
	AUTO_FREE char *url =
		registry_url(registry, things[thing].folder, digest_text(digest, what));
	const struct http_request request = { .method = "HEAD",
					      .url = url,
					      .accept = things[thing].accept };
	AUTO_ANSWER struct http_answer answer = { 0 };

	if (registry_ask_good(registry, &request, &answer, err) < 0)
		return -1;
	if (answer.status != 200 || answer.length < 0)
		return err_set(err, ERR_INVALID, "answered with status %ld, and no size",
			       answer.status);
	*out_size = (uint64_t)answer.length;
	return 0;
}

static int has(struct registry *registry, enum registry_thing thing,
	       const struct digest *digest, uint64_t *out_size, struct err *err)
{
	char what[DIGEST_TEXT_MAX];

	if (registry_look(registry, thing, digest, out_size, err) == 0)
		return 0;
	err_wrap(err, "%s %s", things[thing].name, digest_text(digest, what));
	return registry_named(registry, -1, err);
}

int registry_has_blob(struct registry *registry, const struct digest *digest,
		      uint64_t *out_size, struct err *err)
{
	return has(registry, REGISTRY_BLOB, digest, out_size, err);
}

int registry_has_manifest(struct registry *registry, const struct digest *digest,
			  uint64_t *out_size, struct err *err)
{
	return has(registry, REGISTRY_MANIFEST, digest, out_size, err);
}

/* The registry has it, and it is what we sent. */
static int check_kept(struct registry *registry, const struct http_answer *answer,
		      const struct digest_size *id, struct err *err)
{
	AUTO_FREE char *data = NULL;

	if (answer->header[HTTP_DIGEST])
		return registry_check_digest(answer, &id->digest, err);
	return get_manifest(registry, id, &data, err);
}

static int put_manifest(struct registry *registry, const char *media_type, const void *data,
			size_t size, const char *what, struct err *err)
{
	AUTO_FREE char *url = registry_url(registry, "manifests", what);
	const struct http_request request = { .method = "PUT",
					      .url = url,
					      .content_type = media_type,
					      .data = data,
					      .size = size,
					      .limit = HTTP_FAULT_MAX_BYTES };
	AUTO_ANSWER struct http_answer answer = { 0 };
	struct digest_size id = { .size = size };

	digest_of(data, size, &id.digest);
	if (registry_ask_good(registry, &request, &answer, err) < 0)
		return err_wrap(err, "put manifest %s", what);
	if (answer.status != 201)
		return err_set(err, ERR_INVALID, "put manifest %s: answered with status %ld",
			       what, answer.status);
	if (check_kept(registry, &answer, &id, err) < 0)
		return err_wrap(err, "put manifest %s", what);
	return 0;
}

int registry_put_manifest(struct registry *registry, const char *media_type, const void *data,
			  size_t size, const char *tag, struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	struct digest digest;
	int result;

	digest_of(data, size, &digest);
	if (size > REGISTRY_MANIFEST_MAX_BYTES)
		result = err_set(err, ERR_INVALID,
				 "a manifest of %zu bytes: more than registries take", size);
	else if (tag && !reference_is_tag(tag))
		result = err_set(err, ERR_INVALID, "bad tag");
	else
		result = put_manifest(registry, media_type, data, size,
				      tag ? tag : digest_text(&digest, text), err);
	return registry_named(registry, result, err);
}
