#include "firstboot/source.h"

#include <errno.h>
#include <string.h>

#include "firstboot/kept.h"
#include "firstboot/offer.h"

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
	layout_close(&source->offered);
	stored_reach_free(&source->offer_reach);
	further_close(&source->further);
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

/* Was it proven, whatever its age? */
static bool is_proven(const struct candidate *candidate)
{
	return may_serve(candidate) || candidate->why.kind == ERR_STALE;
}

/* Its statement is out. Its blobs serve whoever signs for them. */
static void pass_over(const struct machine *machine, struct source *source,
		      struct candidate *carried)
{
	AUTO_FREE char *path = NULL;
	struct err none = { 0 };

	snprintf(source->refused, sizeof(source->refused), "%.511s", carried->why.text);
	(void)!source_find(machine, &path, &carried->cache.layout, &none);
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
		if (!source->repair || (err->kind != ERR_REFUSED && err->kind != ERR_DAMAGED))
			return -1;
		pass_over(machine, source, carried);
		return 0;
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

/* --- what is missing ------------------------------------------------------------------------------- */

void source_use_kept(struct source *source)
{
	struct blobs *blobs = &source->cache.layout.blobs;
	const struct blobs *next = blobs->next;
	struct err none = { 0 };
	int folder;

	if (blobs->kind || stored_open_blobs(source->machine, false, &folder, &none) < 0)
		return;
	*blobs = blobs_in_folder(folder);
	blobs->next = next;
}

int source_get(struct source *source, const struct digest_size *id, struct err *err)
{
	const struct want_blob blob = { .id = *id };

	if (lack_get(source->lack, &blob, err) < 0)
		return -1;
	source_use_kept(source);
	return 0;
}

/* --- an offered one -------------------------------------------------------------------------------- */

static bool is_here(const struct blobs *blobs, const struct digest_size *id)
{
	struct err none = { 0 };
	uint64_t size;

	return blobs_look(blobs, id, &size, &none) == 0 && size == id->size;
}

/* Are all of its tables for this machine here? What is not is asked for. */
static bool has_tables(struct source *source, const struct statement *statement,
		       const struct facts *facts)
{
	struct plan_place place[PLAN_MAX_TABLES];
	char text[PLAN_TEXT_MAX];
	bool all = true;
	size_t count;

	if (plan_tables(statement, facts, place, &count, text) != REASON_DONE)
		return true;
	stored_reach_tables(&source->offer_reach, statement, facts);
	for (size_t i = 0; i < count; i++) {
		const struct digest_size *id = &statement->table[place[i].table].content;
		struct err none = { 0 };

		if (!is_here(&source->cache.layout.blobs, id) &&
		    source_get(source, id, &none) < 0)
			all = false;
	}
	return all;
}

/* In a dry run what it brings is read in its place. */
static int look_at_offered(const struct machine *machine, struct source *source,
			   const struct trust *known, struct candidate *offered)
{
	AUTO_LAYOUT struct layout layout = source->offered;

	source->offered = (struct layout)LAYOUT_NONE;
	if (!layout.blobs.kind && offer_find(machine, &layout, &offered->why) < 0)
		return -1;
	return cache_open_layout(&layout, "/" MACHINE_STATE "/" OFFER_NAME, known,
				 source->serial.floor, &offered->cache, &offered->why);
}

/* --- the choice ------------------------------------------------------------------------------------ */

enum which { CARRIED, STORED, OFFERED, CANDIDATES };

/* Age is the reason wherever it shut a candidate out; what is refused comes before it. */
static int none_serves(const struct candidate *candidate, struct err *err)
{
	const struct err *carried = &candidate[CARRIED].why, *stored = &candidate[STORED].why;

	*err = stored->kind == ERR_STALE && carried->kind == ERR_MISSING ? *stored : *carried;
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

/* Puts together where blobs are looked for: what is kept here, what is carried, and in a dry run what was brought. */
static void take_places(struct source *source, struct candidate *candidate)
{
	source->carried = candidate[CARRIED].cache.layout;
	candidate[CARRIED].cache.layout = (struct layout)LAYOUT_NONE;
	source->offered = candidate[OFFERED].cache.layout;
	candidate[OFFERED].cache.layout = (struct layout)LAYOUT_NONE;
	if (source->lack && source->lack->notes_only) {
		source->offered.blobs.next = source->carried.blobs.next;
		source->carried.blobs.next = &source->offered.blobs;
	}
	source->cache.layout = candidate[STORED].cache.layout;
	candidate[STORED].cache.layout = (struct layout)LAYOUT_NONE;
	source->cache.layout.blobs.next = &source->carried.blobs;
	source_use_kept(source);
}

/* Takes the statement in use out of its candidate. */
static void take_chosen(struct source *source, struct candidate *candidate, enum which which)
{
	struct cache *cache = &source->cache, *chosen = &candidate[which].cache;
	const struct layout places = cache->layout;
	const struct cache *judge = which == OFFERED		     ? chosen
				    : is_proven(&candidate[CARRIED]) ? &candidate[CARRIED].cache
								     : &candidate[STORED].cache;
	const struct trust trust = judge->trust;

	source->origin = which == OFFERED ? &source->offered.blobs : &source->carried.blobs;
	const struct layout_chain chain =
		which == OFFERED ? chosen->chain : candidate[CARRIED].cache.chain;
	*cache = *chosen;
	cache->layout = places;
	cache->trust = trust;
	cache->chain = chain;
	*chosen = (struct cache) { .layout = LAYOUT_NONE };
}

static uint64_t serial_of(const struct candidate *candidate)
{
	return may_serve(candidate) ? candidate->cache.statement.serial : 0;
}

/* Of two alike the carried one. What is offered is asked last. */
static enum which newest(const struct candidate *candidate)
{
	return serial_of(&candidate[STORED]) > serial_of(&candidate[CARRIED]) ? STORED
									      : CARRIED;
}

static int choose(struct source *source, struct candidate *candidate, const struct facts *facts,
		  struct err *err)
{
	const struct candidate *carried = &candidate[CARRIED], *stored = &candidate[STORED];
	enum which which = newest(candidate);
	bool same = may_serve(carried) && may_serve(stored) &&
		    stored_is_whole(&stored->cache) &&
		    digest_equal(&carried->cache.envelope, &stored->cache.envelope);

	take_places(source, candidate);
	source->serial.offered = serial_of(&candidate[OFFERED]);
	source->offer_is_old = candidate[OFFERED].why.kind != ERR_MISSING &&
			       serial_of(&candidate[OFFERED]) <= serial_of(&candidate[which]);
	if (serial_of(&candidate[OFFERED]) > serial_of(&candidate[which]) &&
	    has_tables(source, &candidate[OFFERED].cache.statement, facts))
		which = OFFERED;
	if (!may_serve(&candidate[which]))
		return none_serves(candidate, err);
	source->is_offered = which == OFFERED;
	source->is_stored = which == STORED || (which == CARRIED && same);
	if (which == STORED)
		tell_carried(source, carried);
	take_chosen(source, candidate, which);
	return 0;
}

/* What a further place has newer stands for what is carried, whose blobs stay where they are. */
static void look_further(struct source *source, const struct facts *facts,
			 const struct trust *known, struct candidate *candidate)
{
	struct candidate *carried = &candidate[CARRIED];
	struct blobs all = candidate[STORED].cache.layout.blobs;
	struct further_wish wish = {
		.facts = facts, .trust = known, .blobs = &all, .least = source->serial.floor
	};
	struct cache newest;

	for (size_t i = 0; i < CANDIDATES; i++) {
		if (serial_of(&candidate[i]) >= wish.least)
			wish.least = serial_of(&candidate[i]) + 1;
	}

	all.next = &carried->cache.layout.blobs;
	carried->cache.layout.blobs.next = further_blobs(&source->further);
	if (further_newest(&source->further, &wish, &newest)) {
		newest.layout = carried->cache.layout;
		carried->cache.layout = (struct layout)LAYOUT_NONE;
		cache_close(&carried->cache);
		*carried = (struct candidate) { .cache = newest };
		source->serial.carried = newest.statement.serial;
	}
	if (source->further.note[0] && !source->note[0])
		snprintf(source->note, sizeof(source->note), "%s", source->further.note);
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

static void close_all(struct candidate *candidate)
{
	for (size_t i = 0; i < CANDIDATES; i++)
		candidate_close(&candidate[i]);
}

static int open_all(const struct facts *facts, struct source *source,
		    struct candidate *candidate, struct err *err)
{
	const struct machine *machine = source->machine;
	struct trust known;

	if (read_rules(machine, source, &known, err) < 0 ||
	    look_at_carried(machine, source, &known, &candidate[CARRIED], err) < 0)
		return -1;
	if (is_proven(&candidate[CARRIED]))
		known = candidate[CARRIED].cache.trust;
	if (look_at_stored(machine, source, &known, facts, &candidate[STORED], err) < 0)
		return -1;
	/* One that is not proven any more is as none; the next one that is brought takes its place. */
	(void)!look_at_offered(machine, source, &known, &candidate[OFFERED]);
	look_further(source, facts, &known, candidate);
	return choose(source, candidate, facts, err);
}

enum reason source_open(const struct machine *machine, const struct facts *facts,
			struct source *out_source, struct err *err)
{
	struct candidate candidate[CANDIDATES] = { CANDIDATE_NONE, CANDIDATE_NONE,
						   CANDIDATE_NONE };
	int result;

	out_source->machine = machine;
	result = open_all(facts, out_source, candidate, err);
	close_all(candidate);
	return result < 0 ? reason_of_err(err) : REASON_DONE;
}

int source_open_stored(const struct machine *machine, const struct facts *facts,
		       struct source *out_source, struct err *err)
{
	struct candidate candidate[CANDIDATES] = { CANDIDATE_NONE, CANDIDATE_NONE,
						   CANDIDATE_NONE };
	struct trust known;
	int result;

	out_source->machine = machine;
	err_set(&candidate[CARRIED].why, ERR_MISSING, "not looked at");
	err_set(&candidate[OFFERED].why, ERR_MISSING, "not looked at");
	if (read_rules(machine, out_source, &known, err) < 0)
		return -1;
	/* A newer image brings a higher floor; it was acceptable when it was begun with. */
	out_source->serial.floor = 0;
	result = look_at_stored(machine, out_source, &known, facts, &candidate[STORED], err);
	if (result == 0)
		result = choose(out_source, candidate, facts, err);
	close_all(candidate);
	return result;
}

int source_judge_offer(const struct machine *machine, struct layout *layout, const char *path,
		       struct cache *out_cache, struct err *err)
{
	AUTO_SOURCE struct source rules = SOURCE_NONE;
	struct candidate carried = CANDIDATE_NONE;
	struct trust known;

	if (read_rules(machine, &rules, &known, err) < 0)
		return -1;
	if (open_known(machine, &rules.root, &known, &carried.cache, &carried.why) == 0)
		known = carried.cache.trust;
	candidate_close(&carried);
	return cache_open_layout(layout, path, &known, rules.serial.floor, out_cache, err);
}

/* One that cannot be kept does not keep the other from being kept. */
int source_remember(const struct machine *machine, struct source *source,
		    const struct facts *facts, struct err *err)
{
	const struct cache *cache = &source->cache;
	const struct kept_news news = { .root = &source->root,
					.version = cache->trust.version,
					.chain = &cache->chain,
					.blobs = source->origin };
	int result = 0;

	if (cache->trust.version > source->known)
		result = kept_save(machine, &news, err);
	if (source->is_stored)
		return result;
	/* The tables of an offered one are here already; those of a carried one may be kept as well. */
	source->offered.blobs.next = &source->carried.blobs;
	if (stored_save(machine, cache, news.blobs, facts, err) < 0)
		return err_wrap(err, "/" MACHINE_STATE);
	source->is_stored = true;
	source->serial.stored = cache->statement.serial;
	return result;
}

int source_keep_record(const struct machine *machine, const struct source *source,
		       const struct table_row *row, struct err *err)
{
	if (!source->is_stored)
		return 0;
	return stored_keep(machine, &source->carried.blobs, &row->record, RECORD_MAX_BYTES,
			   err);
}
