#include "firstboot/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/plan.h"

#define OWN_MODE 0700

/* The tables of a statement that this machine uses; none, where the statement has none for it. */
struct needed {
	struct plan_place place[PLAN_MAX_TABLES];
	size_t count;
};

static struct needed needed_tables(const struct statement *statement, const struct facts *facts)
{
	struct needed needed = { 0 };
	char text[PLAN_TEXT_MAX];

	if (plan_tables(statement, facts, needed.place, &needed.count, text) != REASON_DONE)
		needed.count = 0;
	return needed;
}

static const struct digest_size *content_of(const struct statement *statement, size_t table)
{
	return &statement->table[table].content;
}

static int open_own(const struct machine *machine, const char *name, int *out_fd,
		    struct err *err)
{
	AUTO_CLOSE int state = -1;
	int fd;

	if (machine_open_dir(machine, MACHINE_STATE, &state, err) < 0)
		return -1;
	fd = openat(state, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_MISSING, "/" MACHINE_STATE "/%s: no such folder", name);
	if (fd < 0)
		return err_errno(err, "open folder /" MACHINE_STATE "/%s", name);
	*out_fd = fd;
	return 0;
}

static int read_envelope(const struct machine *machine, char **out_data, size_t *out_size,
			 struct err *err)
{
	AUTO_CLOSE int dir = -1;

	if (open_own(machine, STORED_STATEMENT, &dir, err) < 0)
		return -1;
	return fs_read_at(dir, STORED_ENVELOPE, ENVELOPE_MAX_BYTES, out_data, out_size, err);
}

void stored_digest(const struct machine *machine, struct digest *out)
{
	AUTO_FREE char *data = NULL;
	struct err none = { 0 };
	size_t size = 0;

	if (read_envelope(machine, &data, &size, &none) < 0)
		size = 0;
	digest_of(size ? data : "", size, out);
}

static int prove_tables(const struct cache *cache, const struct facts *facts, struct err *err)
{
	const struct needed needed = needed_tables(&cache->statement, facts);

	for (size_t i = 0; i < needed.count; i++) {
		AUTO_FREE char *data = NULL;

		if (blob_read(&cache->layout.blobs,
			      content_of(&cache->statement, needed.place[i].table),
			      TABLE_MAX_BYTES, &data, err) < 0) {
			if (err->kind == ERR_MISSING)
				err->kind = ERR_DAMAGED;
			return err_wrap(err, "table %s",
					cache->statement.table[needed.place[i].table].name);
		}
	}
	return 0;
}

static int prove(const struct machine *machine, const struct trust *trust, uint64_t floor,
		 const struct facts *facts, struct cache *cache, struct err *err)
{
	AUTO_BLOBS struct blobs blobs = BLOBS_NONE;
	AUTO_FREE char *data = NULL;
	struct err none = { 0 }, why = { 0 };
	size_t size;
	int folder;

	if (read_envelope(machine, &data, &size, err) < 0)
		return -1;
	if (open_own(machine, STORED_BLOBS, &folder, &none) == 0)
		blobs = blobs_in_folder(folder);
	if (cache_open_envelope(data, size, trust, floor, &blobs, cache, err) < 0)
		return -1;
	/* Its serial counts whatever became of its tables: else a change of the facts, or of a bit here, would
	 * let an older statement in. What is wrong with our copies, the cache that is carried may have. */
	if (prove_tables(cache, facts, &why) < 0) {
		if (why.kind == ERR_SYSTEM) {
			*err = why;
			return -1;
		}
		blobs_close(&cache->layout.blobs);
	}
	return 0;
}

bool stored_is_whole(const struct cache *cache)
{
	return cache->layout.blobs.kind != NULL;
}

int stored_open(const struct machine *machine, const struct trust *trust, uint64_t floor,
		const struct facts *facts, struct cache *out_cache, struct err *err)
{
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };

	if (prove(machine, trust, floor, facts, &cache, err) < 0)
		return err->kind == ERR_MISSING ? -1 : err_wrap(err, STORED_PATH);
	*out_cache = cache;
	cache = (struct cache) { .layout = LAYOUT_NONE };
	return 0;
}

/* Removes what stands at a name and is not what we put there: a folder, a link, a fifo. */
static int clear_name(int dir, const char *name, mode_t kind, struct err *err)
{
	struct stat status;

	if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (status.st_mode & S_IFMT) == kind)
		return 0;
	return fs_remove_tree(dir, name, err);
}

/* A folder of our own, with its mode, and known to the disk before anything in it is. */
static int make_own(const struct machine *machine, const char *name, int *out_fd,
		    struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (clear_name(machine->state, name, S_IFDIR, err) < 0 ||
	    fs_make_dir_beneath(machine->state, name, OWN_MODE, &fd, err) < 0)
		return -1;
	if (fstat(fd, &status) < 0 ||
	    ((status.st_mode & 07777) != OWN_MODE && fchmod(fd, OWN_MODE) < 0))
		return err_errno(err, "chmod %s", name);
	if (fs_sync_dir(machine->state, err) < 0)
		return -1;
	*out_fd = take_fd(&fd);
	return 0;
}

static int put_own(int dir, const char *name, const char *data, size_t size, struct err *err)
{
	char draft[FS_NAME_MAX];

	snprintf(draft, sizeof(draft), ".%s.draft", name);
	if (clear_name(dir, name, S_IFREG, err) < 0 || clear_name(dir, draft, S_IFREG, err) < 0)
		return -1;
	return fs_replace(dir, name, data, size, 0600, err);
}

static bool is_kept(const struct machine *machine, const struct digest_size *id, size_t limit)
{
	AUTO_BLOBS struct blobs own = BLOBS_NONE;
	AUTO_FREE char *data = NULL;
	struct err none = { 0 };
	int folder;

	if (open_own(machine, STORED_BLOBS, &folder, &none) < 0)
		return false;
	own = blobs_in_folder(folder);
	return blob_read(&own, id, limit, &data, &none) == 0;
}

int stored_keep(const struct machine *machine, const struct blobs *blobs,
		const struct digest_size *id, size_t limit, struct err *err)
{
	AUTO_FREE char *data = NULL;
	AUTO_CLOSE int folder = -1;
	char name[DIGEST_HEX_MAX];

	if (is_kept(machine, id, limit))
		return 0;
	if (blob_read(blobs, id, limit, &data, err) < 0 ||
	    make_own(machine, STORED_BLOBS, &folder, err) < 0)
		return -1;
	return put_own(folder, digest_hex(&id->digest, name), data, id->size, err);
}

/* The bytes that were proven, and no others. */
static int put_envelope(const struct machine *machine, const struct cache *cache,
			const struct blobs *blobs, struct err *err)
{
	AUTO_FREE char *data = NULL;
	AUTO_CLOSE int dir = -1;
	struct digest now;
	size_t size;

	if (blob_read_unproven(blobs, &cache->hint, ENVELOPE_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	digest_of(data, size, &now);
	if (!digest_equal(&now, &cache->envelope))
		return err_set(err, ERR_DAMAGED, "the envelope was changed meanwhile");
	if (make_own(machine, STORED_STATEMENT, &dir, err) < 0)
		return -1;
	return put_own(dir, STORED_ENVELOPE, data, size, err);
}

int stored_save(const struct machine *machine, const struct cache *cache,
		const struct blobs *blobs, const struct facts *facts, struct err *err)
{
	const struct statement *statement = &cache->statement;
	const struct needed needed = needed_tables(statement, facts);

	for (size_t i = 0; i < needed.count; i++) {
		if (stored_keep(machine, blobs, content_of(statement, needed.place[i].table),
				TABLE_MAX_BYTES, err) < 0)
			return err_wrap(err, "table %s",
					statement->table[needed.place[i].table].name);
	}
	return put_envelope(machine, cache, blobs, err);
}

int stored_open_blobs(const struct machine *machine, bool make, int *out_fd, struct err *err)
{
	return make ? make_own(machine, STORED_BLOBS, out_fd, err)
		    : open_own(machine, STORED_BLOBS, out_fd, err);
}

void stored_reach_free(struct stored_reach *reach)
{
	free(reach->digest);
	*reach = (struct stored_reach) { 0 };
}

void stored_reach_add(struct stored_reach *reach, const struct digest *digest)
{
	/* Room is doubled: a power of two is full. */
	if ((reach->count & (reach->count - 1)) == 0)
		reach->digest = must_realloc(reach->digest, reach->count * 2 + 1,
					     sizeof(*reach->digest));
	reach->digest[reach->count++] = *digest;
}

void stored_reach_tables(struct stored_reach *reach, const struct statement *statement,
			 const struct facts *facts)
{
	const struct needed needed = needed_tables(statement, facts);

	for (size_t i = 0; i < needed.count; i++)
		stored_reach_add(reach, &content_of(statement, needed.place[i].table)->digest);
}

static int by_digest(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct digest));
}

static bool is_reached(const struct stored_reach *reach, const char *name)
{
	struct err none = { 0 };
	struct digest digest;

	return digest_parse_hex(name, &digest, &none) == 0 && reach->count &&
	       bsearch(&digest, reach->digest, reach->count, sizeof(digest), by_digest);
}

static bool is_envelope(const struct stored_reach *reach, const char *name)
{
	(void)reach;
	return strcmp(name, STORED_ENVELOPE) == 0;
}

static uint64_t size_of(int dir, const char *name)
{
	struct stat status;

	return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)status.st_size
								     : 0;
}

/* Goes on behind what cannot be removed, and fails then. */
static int tidy_folder(const struct machine *machine, const char *folder,
		       bool (*stays)(const struct stored_reach *, const char *),
		       const struct stored_reach *reach, struct stored_tidied *tidied,
		       struct err *err)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err why = { 0 };
	int result = 0;

	if (open_own(machine, folder, &dir, &why) < 0 || fs_list(dir, ".", &names, &why) < 0) {
		*err = why;
		return why.kind == ERR_MISSING ? 0 : -1;
	}
	for (size_t i = 0; i < names.count; i++) {
		uint64_t size = size_of(dir, names.name[i]);

		if (stays(reach, names.name[i]))
			continue;
		if (fs_remove_tree(dir, names.name[i], err) < 0) {
			result = err_wrap(err, "/" MACHINE_STATE "/%s", folder);
			continue;
		}
		tidied->count++;
		tidied->bytes += size;
	}
	return result;
}

int stored_tidy(const struct machine *machine, struct stored_reach *reach,
		struct stored_tidied *out_tidied, struct err *err)
{
	struct stored_tidied others = { 0 };
	int blobs, rest;

	*out_tidied = (struct stored_tidied) { 0 };
	if (reach->count)
		qsort(reach->digest, reach->count, sizeof(*reach->digest), by_digest);
	blobs = tidy_folder(machine, STORED_BLOBS, is_reached, reach, out_tidied, err);
	rest = tidy_folder(machine, STORED_STATEMENT, is_envelope, NULL, &others, err);
	return blobs < 0 ? blobs : rest;
}
