#include "firstboot/source.h"

#include <errno.h>
#include <string.h>

#include "firstboot/kept.h"
#include "firstboot/stored.h"

#define TRUST_PATH "/" MACHINE_ETC "/trust.json"
#define FLOOR_PATH "/" MACHINE_ETC "/floor"
#define FLOOR_MAX_BYTES 32
#define TAR_SUFFIX ".tar"
#define TAR_NAME "cache" TAR_SUFFIX

void source_close(struct source *source)
{
	for (size_t i = 0; i < source->count; i++)
		table_free(&source->table[i]);
	cache_close(&source->cache);
	layout_close(&source->carried);
	*source = (struct source)SOURCE_NONE;
}

/* Without a trust root nothing is trusted: it is never a matter of something missing. */
static int read_trust(const struct machine *machine, struct trust *out_trust, struct err *err)
{
	AUTO_CLOSE int dir = -1;

	if (machine_open_dir(machine, MACHINE_ETC, &dir, err) < 0 ||
	    trust_load(dir, "trust.json", out_trust, err) < 0) {
		err->kind = ERR_REFUSED;
		return err_wrap(err, "trust root " TRUST_PATH);
	}
	return 0;
}

/* One decimal number. A file that is there and holds something else lets nothing pass. */
static int read_floor(const struct machine *machine, uint64_t *out_floor, struct err *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;

	if (machine_read(machine, FLOOR_PATH, FLOOR_MAX_BYTES, &text, &size, err) < 0) {
		if (err->kind == ERR_INVALID)
			err->kind = ERR_STALE;
		*out_floor = 0;
		return err->kind == ERR_MISSING ? 0 : -1;
	}
	if (size > 0 && text[size - 1] == '\n')
		text[--size] = '\0';
	if (size == 0 || size > 15 || strspn(text, "0123456789") != size)
		return err_set(err, ERR_STALE, FLOOR_PATH ": expected one decimal number");
	*out_floor = strtoull(text, NULL, 10);
	return 0;
}

/* Running out of something says nothing about the cache. */
void source_judge(struct err *err)
{
	if (err->kind == ERR_SYSTEM && err->number != ENOMEM && err->number != EMFILE &&
	    err->number != ENFILE)
		err->kind = ERR_DAMAGED;
}

static int find_folder(const struct machine *machine, const char *path,
		       struct layout *out_layout, struct err *err)
{
	AUTO_CLOSE int folder = -1;

	if (machine_open_dir(machine, MACHINE_CACHE, &folder, err) < 0)
		return -1;
	return layout_open_folder(folder, path, out_layout, err);
}

static int find_tar(const struct machine *machine, struct layout *out_layout, struct err *err)
{
	AUTO_CLOSE int folder = -1;

	if (machine_open_dir(machine, MACHINE_BROUGHT, &folder, err) < 0 ||
	    layout_open(folder, TAR_NAME, out_layout, err) < 0)
		return err_wrap(err, "/" MACHINE_BROUGHT);
	return 0;
}

/* A folder that holds no cache is as none. */
int source_find(const struct machine *machine, char **out_path, struct layout *out_layout,
		struct err *err)
{
	AUTO_FREE char *folder =
		must_printf("%s/" MACHINE_CACHE, machine->whole ? "" : machine->path);
	AUTO_FREE char *tar = must_printf("%s" TAR_SUFFIX, folder);
	struct err no_folder = { 0 }, no_tar = { .kind = ERR_MISSING };

	if (find_folder(machine, folder, out_layout, &no_folder) == 0) {
		*out_path = take_ptr(&folder);
		return 0;
	}
	if (no_folder.kind == ERR_MISSING && find_tar(machine, out_layout, &no_tar) == 0) {
		*out_path = take_ptr(&tar);
		return 0;
	}
	*err = no_tar.kind == ERR_MISSING ? no_folder : no_tar;
	return -1;
}

/* Whatever its age: that is judged later, for an old cache still has blobs that serve. */
static int open_carried(const struct machine *machine, const struct trust *trust,
			struct cache *out_cache, struct err *err)
{
	AUTO_FREE char *path = NULL;
	AUTO_LAYOUT struct layout layout = LAYOUT_NONE;

	if (source_find(machine, &path, &layout, err) == 0 &&
	    cache_open_layout(&layout, path, trust, 0, out_cache, err) == 0)
		return 0;
	source_judge(err);
	return err->kind == ERR_MISSING ? err_wrap(err, "no cache") : -1;
}

/* Judged by what this machine knows. A chain that goes further than that, straight from /etc, is good as
 * well: two versions of one number were signed, and the machine must not stay with the lost one. */
static int open_known(const struct machine *machine, const struct trust *root,
		      const struct trust *known, struct cache *out_cache, struct err *err)
{
	AUTO_CACHE struct cache cache = { .layout = LAYOUT_NONE };
	struct err why = { 0 }, none = { 0 };
	bool further;

	if (open_carried(machine, known, out_cache, &why) == 0)
		return 0;
	further = why.kind == ERR_REFUSED && known->version != root->version;
	if (further && open_carried(machine, root, &cache, &none) == 0 &&
	    cache.trust.version > known->version) {
		*out_cache = cache;
		cache = (struct cache) { .layout = LAYOUT_NONE };
		return 0;
	}
	*err = why;
	return further ? err_wrap(err, KEPT_PATH " holds version %llu of the trust root",
				  (unsigned long long)known->version)
		       : -1;
}

/* A statement that may be used; one that may not says why. */
struct candidate {
	struct cache cache;
	struct err why; /* ERR_NONE: it may */
};
#define CANDIDATE_NONE                                                                         \
	{                                                                                      \
		.cache = {.layout = LAYOUT_NONE }                                              \
	}

static void candidate_close(struct candidate *candidate)
{
	cache_close(&candidate->cache);
}

static bool may_serve(const struct candidate *candidate)
{
	return candidate->why.kind == ERR_NONE;
}

/* -1: what is carried is refused, and nothing else is looked at. */
static int look_at_carried(const struct machine *machine, struct source *source,
			   const struct trust *known, struct candidate *carried,
			   struct err *err)
{
	const struct cache *cache = &carried->cache;

	digest_of("", 0, &source->carried_envelope);
	if (open_known(machine, &source->root, known, &carried->cache, &carried->why) < 0) {
		if (carried->why.kind == ERR_MISSING)
			return 0;
		*err = carried->why;
		return -1;
	}
	source->carried_envelope = cache->envelope;
	source->serial.carried = cache->statement.serial;
	if (cache->statement.serial < source->serial.floor)
		err_set(&carried->why, ERR_STALE,
			"the cache that is carried has serial %llu, below %llu, the least that "
			"is accepted here",
			(unsigned long long)cache->statement.serial,
			(unsigned long long)source->serial.floor);
	return 0;
}

/* -1: it could not be read for a reason that will pass. */
static int look_at_stored(const struct machine *machine, struct source *source,
			  const struct trust *newest, const struct facts *facts,
			  struct candidate *stored, struct err *err)
{
	if (stored_open(machine, newest, source->serial.floor, facts, &stored->cache,
			&stored->why) == 0) {
		source->serial.stored = stored->cache.statement.serial;
		return 0;
	}
	source_judge(&stored->why);
	if (stored->why.kind == ERR_SYSTEM) {
		*err = stored->why;
		return -1;
	}
	if (stored->why.kind != ERR_MISSING)
		snprintf(source->note, sizeof(source->note),
			 "the stored statement counts as none: %.400s", stored->why.text);
	return 0;
}

/* Age is the reason wherever it shut a candidate out. */
static int none_serves(const struct candidate *carried, const struct candidate *stored,
		       struct err *err)
{
	*err = stored->why.kind == ERR_STALE && carried->why.kind != ERR_STALE ? stored->why
									       : carried->why;
	return -1;
}

/* The stored statement serves: why not the carried one? */
static void tell_carried(struct source *source, const struct candidate *carried)
{
	if (may_serve(carried))
		snprintf(
			source->note, sizeof(source->note),
			"the cache that is carried has serial %llu, older than %llu, which was "
			"accepted here before: its blobs serve, its statement does not",
			(unsigned long long)source->serial.carried,
			(unsigned long long)source->serial.stored);
	else
		snprintf(source->note, sizeof(source->note),
			 "%.400s; the stored statement serves", carried->why.text);
}

/* Takes the statement in use, and what is carried, out of the candidates. */
static void take_chosen(struct source *source, struct candidate *carried,
			struct candidate *stored, bool use_stored)
{
	struct candidate *chosen = use_stored ? stored : carried;

	source->carried = carried->cache.layout;
	carried->cache.layout = (struct layout)LAYOUT_NONE;
	source->cache = chosen->cache;
	source->cache.trust =
		carried->why.kind == ERR_MISSING ? stored->cache.trust : carried->cache.trust;
	source->cache.chain = carried->cache.chain;
	source->cache.layout = stored->cache.layout;
	source->cache.layout.blobs.next = &source->carried.blobs;
	stored->cache.layout = (struct layout)LAYOUT_NONE;
	chosen->cache = (struct cache) { .layout = LAYOUT_NONE };
}

static int choose(struct source *source, struct candidate *carried, struct candidate *stored,
		  struct err *err)
{
	bool both = may_serve(carried) && may_serve(stored);
	bool use_stored =
		both ? source->serial.stored > source->serial.carried : !may_serve(carried);

	if (!may_serve(carried) && !may_serve(stored))
		return none_serves(carried, stored, err);
	source->is_stored =
		use_stored || (both && stored_is_whole(&stored->cache) &&
			       digest_equal(&carried->cache.envelope, &stored->cache.envelope));
	if (use_stored)
		tell_carried(source, carried);
	take_chosen(source, carried, stored, use_stored);
	return 0;
}

static int read_rules(const struct machine *machine, struct source *source,
		      struct trust *out_known, struct err *err)
{
	if (read_trust(machine, &source->root, err) < 0 ||
	    read_floor(machine, &source->serial.floor, err) < 0)
		return -1;
	*out_known = source->root;
	kept_walk(machine, out_known);
	source->known = out_known->version;
	return 0;
}

enum reason source_open(const struct machine *machine, const struct facts *facts,
			struct source *out_source, struct err *err)
{
	AUTO(candidate_close) struct candidate carried = CANDIDATE_NONE;
	AUTO(candidate_close) struct candidate stored = CANDIDATE_NONE;
	struct source *source = out_source;
	struct trust known;

	if (read_rules(machine, source, &known, err) < 0)
		return reason_of_err(err);
	if (look_at_carried(machine, source, &known, &carried, err) < 0)
		return reason_of_err(err);
	if (carried.why.kind != ERR_MISSING)
		known = carried.cache.trust;
	if (look_at_stored(machine, source, &known, facts, &stored, err) < 0 ||
	    choose(source, &carried, &stored, err) < 0)
		return reason_of_err(err);
	return REASON_DONE;
}

int source_open_stored(const struct machine *machine, const struct facts *facts,
		       struct source *out_source, struct err *err)
{
	AUTO(candidate_close) struct candidate carried = CANDIDATE_NONE;
	AUTO(candidate_close) struct candidate stored = CANDIDATE_NONE;
	struct trust known;

	err_set(&carried.why, ERR_MISSING, "not looked at");
	if (read_rules(machine, out_source, &known, err) < 0)
		return -1;
	/* A newer image brings a higher floor; it was acceptable when it was begun with. */
	out_source->serial.floor = 0;
	if (look_at_stored(machine, out_source, &known, facts, &stored, err) < 0)
		return -1;
	return choose(out_source, &carried, &stored, err);
}

/* One that cannot be kept does not keep the other from being kept. */
int source_remember(const struct machine *machine, struct source *source,
		    const struct facts *facts, struct err *err)
{
	const struct cache *cache = &source->cache;
	const struct kept_news news = { .root = &source->root,
					.version = cache->trust.version,
					.chain = &cache->chain,
					.blobs = &source->carried.blobs };
	int result = 0;

	if (cache->trust.version > source->known)
		result = kept_save(machine, &news, err);
	if (source->is_stored)
		return result;
	if (stored_save(machine, cache, news.blobs, facts, err) < 0)
		return err_wrap(err, "/" MACHINE_STATE);
	source->is_stored = true;
	source->serial.stored = cache->statement.serial;
	return result;
}

/* Where the statement could not be stored, an older one may be: it keeps what it has. */
int source_tidy(const struct machine *machine, const struct source *source,
		const struct facts *facts, struct err *err)
{
	if (!source->is_stored)
		return 0;
	return stored_tidy(machine, &source->cache.statement, facts, source->table,
			   source->count, err);
}

int source_keep_record(const struct machine *machine, const struct source *source,
		       const struct table_row *row, struct err *err)
{
	if (!source->is_stored)
		return 0;
	return stored_keep(machine, &source->carried.blobs, &row->record, RECORD_MAX_BYTES,
			   err);
}

enum reason source_read_tables(struct source *source, const struct facts *facts,
			       char text[PLAN_TEXT_MAX])
{
	struct plan_place place[PLAN_MAX_TABLES];
	size_t count;
	enum reason reason = plan_tables(&source->cache.statement, facts, place, &count, text);
	struct err err = { 0 };

	if (reason != REASON_DONE)
		return reason;
	for (size_t i = 0; i < count; i++) {
		if (cache_table(&source->cache, place[i].table, &source->table[i], &err) < 0) {
			source_judge(&err);
			snprintf(text, PLAN_TEXT_MAX, "%.511s", err.text);
			return reason_of_err(&err);
		}
		source->used[i] = (struct plan_table) { .table = &source->table[i],
							.like = place[i].like };
		source->count++;
	}
	return REASON_DONE;
}

/* A copy that was kept here and damaged since is as none: what is carried decides. */
static int read_record(const struct source *source, const struct table_row *row,
		       struct record *out_record, struct err *err)
{
	const struct cache carried = { .layout = { .dir = -1,
						   .blobs = source->carried.blobs } };

	if (cache_record(&source->cache, row, out_record, err) == 0)
		return 0;
	return err->kind == ERR_DAMAGED ? cache_record(&carried, row, out_record, err) : -1;
}

enum reason source_record(const struct source *source, const struct table_row *row,
			  struct record *out_record, struct err *err)
{
	if (read_record(source, row, out_record, err) == 0)
		return REASON_DONE;
	source_judge(err);
	return reason_of_err(err);
}
