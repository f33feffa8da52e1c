#include "cache/net/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "cache/base/json.h"
#include "cache/layout_types.h"

struct remote {
	struct registry *registry; /* borrowed */
	pthread_mutex_t lock; /* it answers one at a time */
	struct digest_size index; /* what the reference leads to */
	char *index_data; /* owned: its bytes, asked for once */
};

/* Ends what remote_look and the like begin. */
static int unlocked(struct remote *remote, int result)
{
	pthread_mutex_unlock(&remote->lock);
	return result;
}

static int remote_look(const struct blobs *blobs, const struct digest_size *id,
		       uint64_t *out_size, struct err *err)
{
	struct remote *remote = blobs->state;

	pthread_mutex_lock(&remote->lock);
	return unlocked(remote,
			registry_has_blob(remote->registry, &id->digest, out_size, err));
}

/* Where the file system cannot make a file without a name, the name is there for a moment. */
static int open_named(const char *folder)
{
	AUTO_FREE char *path = must_printf("%s/larder-XXXXXX", folder);
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd >= 0)
		unlink(path);
	return fd;
}

/* An empty file that no one else can reach. */
static int open_nameless(uint64_t size, int *out_fd, struct err *err)
{
	const char *folder = getenv("TMPDIR");
	int fd;

	if (size <= REMOTE_MEMORY_BYTES) {
		fd = memfd_create("larder", MFD_CLOEXEC);
		if (fd < 0)
			return err_errno(err, "memory for a blob");
		*out_fd = fd;
		return 0;
	}
	if (!folder || !*folder)
		folder = "/var/tmp";
	fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		fd = open_named(folder);
	if (fd < 0)
		return err_errno(err, "%s: file for a blob", folder);
	*out_fd = fd;
	return 0;
}

static int remote_open_blob(const struct blobs *blobs, const struct digest_size *id,
			    struct blob *out_blob, struct err *err)
{
	struct remote *remote = blobs->state;
	AUTO_CLOSE int fd = -1;

	if (open_nameless(id->size, &fd, err) < 0)
		return -1;
	pthread_mutex_lock(&remote->lock);
	if (unlocked(remote, registry_get_blob(remote->registry, id, fd, err)) < 0)
		return -1;
	*out_blob = (struct blob) { .fd = take_fd(&fd), .size = id->size, .owned = true };
	return 0;
}

static int get_manifest(struct remote *remote, const struct digest_size *id, char **out_data,
			struct err *err)
{
	pthread_mutex_lock(&remote->lock);
	return unlocked(remote, registry_get_manifest(remote->registry, id, out_data, err));
}

static int remote_open_manifest(const struct blobs *blobs, const struct digest_size *id,
				struct blob *out_blob, struct err *err)
{
	struct remote *remote = blobs->state;
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *data = NULL;
	bool is_index = id->size == remote->index.size &&
			digest_equal(&id->digest, &remote->index.digest);

	if (!is_index && get_manifest(remote, id, &data, err) < 0)
		return -1;
	if (open_nameless(id->size, &fd, err) < 0 ||
	    fs_write_all(fd, is_index ? remote->index_data : data, id->size, err) < 0)
		return -1;
	*out_blob = (struct blob) { .fd = take_fd(&fd), .size = id->size, .owned = true };
	return 0;
}

static void remote_close(struct blobs *blobs)
{
	struct remote *remote = blobs->state;

	pthread_mutex_destroy(&remote->lock);
	free(remote->index_data);
	free(remote);
	blobs->state = NULL;
}

static const struct blobs_kind remote_kind = { .look = remote_look,
					       .open = remote_open_blob,
					       .open_manifest = remote_open_manifest,
					       .close = remote_close };

/* What index.json would say. */
static char *top_text(const struct digest_size *index, size_t *out_size)
{
	char digest[DIGEST_TEXT_MAX];
	AUTO_JSON json_t *top =
		json_pack("{s:i, s:[{s:s, s:s, s:I}]}", "schemaVersion", 2, "manifests",
			  "mediaType", LAYOUT_TYPE_INDEX, "digest",
			  digest_text(&index->digest, digest), "size", (json_int_t)index->size);

	if (!top)
		abort();
	return json_text(top, out_size);
}

/* A folder on the web has an index.json; a registry has what the reference leads to. */
static int find_top(struct remote *remote, struct layout *layout, struct err *err)
{
	if (registry_is_folder(remote->registry))
		return registry_get_top(remote->registry, LAYOUT_TOP_MAX_BYTES, &layout->top,
					&layout->top_size, err);
	if (registry_resolve(remote->registry, &remote->index, &remote->index_data, err) < 0)
		return -1;
	layout->top = top_text(&remote->index, &layout->top_size);
	return 0;
}

int remote_open(struct registry *registry, struct layout *out_layout, struct err *err)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct remote *remote = must_calloc(1, sizeof(*remote));

	remote->registry = registry;
	if (pthread_mutex_init(&remote->lock, NULL) != 0)
		abort();
	layout.blobs.kind = &remote_kind;
	layout.blobs.state = remote;
	if (find_top(remote, &layout, err) < 0)
		return -1;
	*out_layout = layout;
	layout = (struct layout)LAYOUT_NONE;
	return 0;
}
