#include <string.h>
#include <sys/mman.h>

#include "bake/sink.h"
#include "cache/layout_types.h"

struct target {
	struct registry *registry; /* borrowed */
	const struct reference *to; /* borrowed */
	const char *mount_from; /* borrowed; or NULL */
	struct blob_scratch scratch;
};

/* Asked for by its digest, so it is what the registry says of its own store. */
static int target_has(struct sink *sink, const struct digest_size *id, bool *out_has,
		      struct err *err)
{
	struct target *target = sink->state;
	struct err why = { 0 };
	uint64_t size;

	if (registry_has_blob(target->registry, &id->digest, &size, &why) == 0) {
		*out_has = size == id->size;
		return 0;
	}
	*out_has = false;
	if (why.kind == ERR_MISSING)
		return 0;
	*err = why;
	return -1;
}

static int target_put(struct sink *sink, const struct blobs *from, const struct digest_size *id,
		      struct err *err)
{
	struct target *target = sink->state;
	AUTO_BLOB struct blob blob = BLOB_NONE;
	bool mounted = false;

	if (target->mount_from &&
	    registry_mount_blob(target->registry, id, target->mount_from, &mounted, err) < 0)
		return -1;
	if (mounted) {
		sink->counts.mounted++;
		return 0;
	}
	target->mount_from = NULL; /* it will not: no need to ask again */
	if (blobs_open(from, id, &blob, err) < 0 ||
	    blob_copy(&target->scratch, &blob, id, -1, err) < 0 ||
	    registry_put_blob(target->registry, blob.fd, blob.start, id, NULL, err) < 0)
		return -1;
	sink->counts.written++;
	sink->counts.bytes += id->size;
	return 0;
}

/* The empty config: the one document that registries take as a blob. */
static int put_config(struct target *target, const struct layout_doc *doc, struct err *err)
{
	AUTO_CLOSE int fd = memfd_create("larder", MFD_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "memory for a blob");
	if (fs_write_all(fd, doc->text, doc->id.size, err) < 0)
		return -1;
	return registry_put_blob(target->registry, fd, 0, &doc->id, NULL, err);
}

static int put_manifest(struct sink *sink, const struct layout_doc *doc, struct err *err)
{
	struct target *target = sink->state;
	struct err why = { 0 };
	uint64_t size;

	if (strcmp(doc->media_type, LAYOUT_TYPE_EMPTY) == 0)
		return put_config(target, doc, err);
	if (registry_has_manifest(target->registry, &doc->id.digest, &size, &why) == 0)
		return 0;
	if (why.kind != ERR_MISSING) {
		*err = why;
		return -1;
	}
	sink->counts.changed = true;
	return registry_put_manifest(target->registry, doc->media_type, doc->text, doc->id.size,
				     NULL, err);
}

/* Does the tag lead to this index already? */
static int tag_is(struct target *target, const struct layout_doc *index, bool *out_is,
		  struct err *err)
{
	AUTO_FREE char *data = NULL;
	struct err why = { 0 };
	struct digest_size id;

	*out_is = false;
	if (registry_resolve(target->registry, &id, &data, &why) == 0) {
		*out_is = digest_equal(&id.digest, &index->id.digest);
		return 0;
	}
	if (why.kind != ERR_NETWORK && why.kind != ERR_TIMEOUT)
		return 0;
	*err = why;
	return -1;
}

/* What a manifest names must be there before it; the tag comes last, so that it never leads to a part. */
static int target_finish(struct sink *sink, const struct carry_plan *plan, struct err *err)
{
	struct target *target = sink->state;
	const struct layout_doc *index = &plan->docs.doc[plan->docs.count - 1];
	bool is;

	for (size_t i = 0; i + 1 < plan->docs.count; i++) {
		if (put_manifest(sink, &plan->docs.doc[i], err) < 0)
			return -1;
	}
	if (tag_is(target, index, &is, err) < 0)
		return -1;
	if (is)
		return 0;
	sink->counts.changed = true;
	return registry_put_manifest(target->registry, index->media_type, index->text,
				     index->id.size, target->to->tag, err);
}

static void target_close(struct sink *sink)
{
	struct target *target = sink->state;

	blob_scratch_free(&target->scratch);
	free(target);
}

struct sink sink_registry(struct registry *registry, const struct reference *to,
			  const char *mount_from)
{
	static const struct sink_kind kind = { .has = target_has,
					       .put_blob = target_put,
					       .finish = target_finish,
					       .close = target_close };
	struct target *target = must_calloc(1, sizeof(*target));

	*target = (struct target) { .registry = registry, .to = to, .mount_from = mount_from };
	return (struct sink) { .kind = &kind, .state = target };
}
