#include "firstboot/further.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "cache/blob.h"
#include "firstboot/choose.h"
#include "firstboot/stage.h"
#include "firstboot/volume.h"

#define TAR_SUFFIX ".tar"

static void note(struct further *further, const char *place, const char *text)
{
	size_t length = strlen(further->note);

	snprintf(further->note + length, sizeof(further->note) - length, "%s%.80s: %.300s",
		 length ? "; " : "", place, text);
}

/* --- blobs that are proven as they are found ---------------------------------------------------- */

struct seen {
	struct digest digest;
	bool good;
};

struct proof {
	const struct blobs *from; /* borrowed */
	struct blob_scratch scratch;
	struct seen *seen; /* owned: each blob is hashed once */
	size_t count;
};

/* What has another size than the one that was signed is not hashed: a foreign disk may have no end. */
static bool has_size(const struct proof *proof, const struct digest_size *id)
{
	struct err none = { 0 };
	uint64_t size;

	return blobs_look(proof->from, id, &size, &none) == 0 && size == id->size;
}

static bool has_digest(struct proof *proof, const struct digest_size *id)
{
	AUTO_BLOB struct blob blob = BLOB_NONE;
	struct err none = { 0 };

	return blobs_open(proof->from, id, &blob, &none) == 0 &&
	       blob_copy(&proof->scratch, &blob, id, -1, &none) == 0;
}

static bool is_good(struct proof *proof, const struct digest_size *id)
{
	if (!has_size(proof, id))
		return false;
	for (size_t i = 0; i < proof->count; i++) {
		if (digest_equal(&proof->seen[i].digest, &id->digest))
			return proof->seen[i].good;
	}
	if ((proof->count & (proof->count - 1)) == 0)
		proof->seen = must_realloc(proof->seen, proof->count ? proof->count * 2 : 1,
					   sizeof(*proof->seen));
	proof->seen[proof->count] = (struct seen) { id->digest, has_digest(proof, id) };
	return proof->seen[proof->count++].good;
}

static int not_here(struct err *err)
{
	return err_set(err, ERR_MISSING, "not in a further place");
}

static int proven_look(const struct blobs *blobs, const struct digest_size *id,
		       uint64_t *out_size, struct err *err)
{
	if (!is_good(blobs->state, id))
		return not_here(err);
	*out_size = id->size;
	return 0;
}

static int proven_open(const struct blobs *blobs, const struct digest_size *id,
		       struct blob *out_blob, struct err *err)
{
	struct proof *proof = blobs->state;

	if (!is_good(proof, id) || blobs_open(proof->from, id, out_blob, err) < 0)
		return not_here(err);
	return 0;
}

static void proven_close(struct blobs *blobs)
{
	struct proof *proof = blobs->state;

	blob_scratch_free(&proof->scratch);
	free(proof->seen);
	free(proof);
}

static const struct blobs_kind proven_kind = { .look = proven_look,
					       .open = proven_open,
					       .close = proven_close };

static struct blobs prove_blobs(const struct blobs *from)
{
	struct proof *proof = must_calloc(1, sizeof(*proof));

	proof->from = from;
	return (struct blobs) { .kind = &proven_kind, .dir = -1, .state = proof };
}

/* --- the places --------------------------------------------------------------------------------- */

void further_close(struct further *further)
{
	for (size_t i = 0; i < further->count; i++) {
		blobs_close(&further->place[i].proven);
		layout_close(&further->place[i].layout);
	}
	*further = (struct further) { .count = 0 };
}

/* Takes layout. */
static void add(struct further *further, const char *name, struct layout *layout)
{
	struct further_place *place = &further->place[further->count];

	if (further->count == FURTHER_MAX) {
		note(further, name, "one place too many, not used");
		layout_close(layout);
		return;
	}
	snprintf(place->name, sizeof(place->name), "%s", name);
	place->layout = *layout;
	*layout = (struct layout)LAYOUT_NONE;
	place->proven = prove_blobs(&place->layout.blobs);
	if (further->count > 0)
		further->place[further->count - 1].proven.next = &place->proven;
	further->count++;
}

/* A folder or a tar in an open folder. */
static void add_path(struct further *further, int folder, const char *name, const char *title)
{
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;
	struct err err = { 0 };

	if (layout_open(folder, name, &layout, &err) < 0)
		note(further, title, err.text);
	else
		add(further, title, &layout);
}

static void add_packages(const struct machine *machine, struct further *further)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int folder = -1;
	struct err none = { 0 };

	if (machine_open_dir(machine, FURTHER_PACKAGES, &folder, &none) < 0 ||
	    fs_list(folder, ".", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.name[i], *end = strrchr(name, '.');

		if (name[0] != '.' && end && strcmp(end, TAR_SUFFIX) == 0)
			add_path(further, folder, name, name);
	}
}

/* Opens one name on the way, without what lies behind it: an automount is not set off, and a link is not followed. */
static bool is_plain(int *at, const char *name)
{
	AUTO_CLOSE int above = take_fd(at);
	struct statfs system;
	struct stat status;

	*at = openat(above, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return *at >= 0 && fstat(*at, &status) == 0 && !S_ISLNK(status.st_mode) &&
	       fstatfs(*at, &system) == 0 && system.f_type != AUTOFS_SUPER_MAGIC;
}

/* An automount may wait for the network, which waits for the early moment. A path that ends before is opened in vain. */
static bool may_wait(const struct machine *machine, const char *path)
{
	AUTO_FREE char *copy = must_strdup(path);
	AUTO_CLOSE int at = openat(machine->root, ".", O_PATH | O_CLOEXEC);
	char *rest = copy;

	for (char *name = strsep(&rest, "/"); name && at >= 0; name = strsep(&rest, "/")) {
		if (*name && !is_plain(&at, name) && at >= 0)
			return true;
	}
	return false;
}

static void add_file(const struct machine *machine, const char *path, struct further *further)
{
	AUTO_FREE char *parent = must_strdup(path);
	char *last = strrchr(parent, '/');
	AUTO_CLOSE int folder = -1;
	struct err err = { 0 };

	*last = '\0';
	if (machine_open_dir(machine, parent, &folder, &err) < 0)
		note(further, path, err.text);
	else
		add_path(further, folder, last + 1, path);
}

static void add_files(const struct machine *machine, const struct config *config,
		      enum plan_moment moment, struct further *further)
{
	AUTO_FREE char *copy = must_strdup(config->sources);
	char *rest = copy;

	for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
		const char *path = word + strlen(CONFIG_FILE_SOURCE);

		if (strncmp(word, CONFIG_FILE_SOURCE, strlen(CONFIG_FILE_SOURCE)) != 0)
			continue;
		if (moment == PLAN_EARLY && may_wait(machine, path))
			note(further, path,
			     "an automount or a link: not before the main moment");
		else
			add_file(machine, path, further);
	}
}

static void add_volumes(const struct machine *machine, const struct config *config,
			struct further *further)
{
	struct volume volume[VOLUME_MAX];
	size_t count = volumes_open(machine, config->volumes, volume);

	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *name = must_printf("volume %s", volume[i].device);

		if (volume[i].err.kind == ERR_NONE)
			add(further, name, &volume[i].layout);
		else
			note(further, name, volume[i].err.text);
	}
}

void further_open(const struct machine *machine, const struct config *config,
		  enum plan_moment moment, struct further *further)
{
	further_close(further);
	add_packages(machine, further);
	add_files(machine, config, moment, further);
	add_volumes(machine, config, further);
}

const struct blobs *further_blobs(const struct further *further)
{
	return further->count ? &further->place[0].proven : NULL;
}

static void add_top(struct digest_stream *stream, const struct layout *layout)
{
	AUTO_FREE char *data = NULL;
	struct err none = { 0 };
	size_t size = 0;

	if (layout->top)
		digest_stream_add(stream, layout->top, layout->top_size);
	else if (fs_read_at(layout->dir, "index.json", LAYOUT_TOP_MAX_BYTES, &data, &size,
			    &none) == 0)
		digest_stream_add(stream, data, size);
}

void further_add_digest(const struct further *further, struct digest *digest)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();

	if (further->count == 0)
		return;
	digest_stream_add(stream, digest, sizeof(*digest));
	for (size_t i = 0; i < further->count; i++) {
		const struct further_place *place = &further->place[i];

		digest_stream_add(stream, place->name, strlen(place->name) + 1);
		add_top(stream, &place->layout);
	}
	digest_stream_end(stream, digest);
}

/* --- the statement ------------------------------------------------------------------------------ */

/* The tables of a statement that are this machine's. */
struct tables {
	struct table table[PLAN_MAX_TABLES];
	struct plan_table used[PLAN_MAX_TABLES];
	size_t count;
};

static void tables_free(struct tables *tables)
{
	for (size_t i = 0; i < tables->count; i++)
		table_free(&tables->table[i]);
}

static int read_tables(const struct cache *cache, const struct facts *facts,
		       struct tables *tables, struct err *err)
{
	struct plan_place place[PLAN_MAX_TABLES];
	char text[PLAN_TEXT_MAX];
	size_t count;

	if (plan_tables(&cache->statement, facts, place, &count, text) != REASON_DONE)
		return err_set(err, ERR_MISSING, "%.511s", text);
	for (size_t i = 0; i < count; i++) {
		if (cache_table(cache, place[i].table, &tables->table[i], err) < 0)
			return -1;
		tables->used[i] = (struct plan_table) { .table = &tables->table[i],
							.like = place[i].like };
		tables->count++;
	}
	return 0;
}

/* probe: the statement, over all the blobs there are. */
static int check_needed(const struct cache *probe, const struct facts *facts,
			const struct tables *tables, struct err *err)
{
	AUTO_CHOSEN struct chosen chosen = { 0 };

	choose_targets(facts, &probe->statement, tables->used, tables->count, PLAN_MAIN,
		       &chosen);
	for (size_t i = 0; i < chosen.row_count; i++) {
		AUTO_RECORD struct record record = { 0 };

		if (cache_record(probe, chosen.row[i], &record, err) < 0 ||
		    stage_look(probe, &record, err) < 0)
			return -1;
	}
	return 0;
}

static int check_serves(const struct cache *cache, const struct further_wish *wish,
			struct err *err)
{
	AUTO(tables_free) struct tables tables = { .count = 0 };
	struct cache probe = { .layout = { .dir = -1, .blobs = *wish->blobs },
			       .statement = cache->statement };

	if (!digest_equal(&cache->envelope, &cache->hint.digest))
		return err_set(err, ERR_DAMAGED,
			       "the envelope has another digest than its name");
	if (read_tables(&probe, wish->facts, &tables, err) < 0)
		return -1;
	return check_needed(&probe, wish->facts, &tables, err);
}

/* The blobs of a place serve whatever its statement is: the layout stays. */
static int prove(struct further_place *place, const struct further_wish *wish,
		 struct cache *out_cache, struct err *err)
{
	if (cache_open_within(&place->layout, wish->trust, wish->least, out_cache, err) < 0)
		return -1;
	if (check_serves(out_cache, wish, err) == 0)
		return 0;
	err_wrap(err, "its statement, serial %llu, is not used",
		 (unsigned long long)out_cache->statement.serial);
	cache_close(out_cache);
	return -1;
}

bool further_newest(struct further *further, const struct further_wish *wish,
		    struct cache *out_cache)
{
	struct further_wish newer = *wish;
	const char *name = NULL;

	for (size_t i = 0; i < further->count; i++) {
		struct cache cache = { .layout = LAYOUT_NONE };
		struct err err = { 0 };

		if (prove(&further->place[i], &newer, &cache, &err) == 0) {
			if (name)
				cache_close(out_cache);
			*out_cache = cache;
			newer.least = cache.statement.serial + 1;
			name = further->place[i].name;
		} else if (err.kind != ERR_STALE) {
			note(further, further->place[i].name, err.text);
		}
	}
	if (name)
		note(further, name, "its statement is newer than every other here, and serves");
	return name != NULL;
}
