/* source.h - the statement that a machine uses: the newest valid one of what it carries, what it stored and what was brought.
 *
 * Three candidates, proven alike by the machine's own trust and floor:
 *   carried: /usr/lib/larder/cache, a folder, else /usr/lib/larder/cache.tar, our tar, read in place;
 *   stored:  what an earlier run kept (stored.h);
 *   offered: what came from outside (offer.h), once its tables for this machine are here.
 * The higher serial is used. Of equal serials the carried one, then the stored one: it may have been signed anew, by keys that
 * are to be trusted longer. So an older signed cache that is put into an image later is not obeyed; its
 * blobs still serve, for a blob serves every statement that names it.
 *
 * A further place (further.h) that has a newer statement than both, and all that this machine needs of it, stands for what is
 * carried; its blobs serve in any case, after all others.
 *
 * A carried cache that is untrusted or damaged ends the run whatever is stored: what is refused is said
 * first, and never as if it were missing; only where the owner says on_refused=download another candidate may
 * go on, and it is said all the same. One that is missing, or older than the floor, is no refusal: a
 * valid stored statement goes on. A stored statement that does not prove any more counts as absent, and the
 * note says so: the machine is not locked out by its own memory. */
#ifndef LARDER_SOURCE_H
#define LARDER_SOURCE_H

#include "cache/open.h"
#include "cache/plan.h"
#include "firstboot/lack.h"
#include "firstboot/further.h"
#include "firstboot/machine.h"
#include "firstboot/stored.h"

/* Of each candidate whose signatures fit; 0: there is none. carried: also of what stands for it. */
struct source_serials {
	uint64_t carried, stored, offered, floor;
};

/* Stays where it was opened: the blobs of cache lead to those of carried. The first fields are the caller's to fill
 * before. */
struct source {
	const struct machine *machine; /* borrowed, by source_open */
	struct lack *
		lack; /* borrowed: what is missing is asked of it; NULL: it is missing, and that is all */
	bool repair; /* what is refused counts as missing */
	struct layout
		offered; /* taken: looked at in place of what was kept; LAYOUT_NONE: that */
	struct further further; /* opened by whoever wants them looked at */

	struct cache cache; /* blobs: /var/lib/larder/blobs, then what is carried */
	struct layout carried; /* its blobs lead to those of the further places */
	const struct blobs *
		origin; /* borrowed: where the top in use lies, of a candidate that is not stored */
	bool is_offered; /* the statement in use is the offered one */
	bool offer_is_old; /* what was offered is not newer than what is here, or not proven */
	struct stored_reach offer_reach; /* the tables that the offered one needs here */
	struct digest carried_envelope; /* of its bytes; of nothing, where there is none */
	struct source_serials serial;
	bool is_stored; /* the statement in use is the stored one, byte for byte */
	char refused[PLAN_TEXT_MAX]; /* why what is carried is not used, under repair; or "" */
	char note[PLAN_TEXT_MAX]; /* what the owner should know of the other candidate, or "" */
	struct trust root; /* of /etc/larder */
	uint64_t known; /* version of the trust root that this machine had proven before */
	struct table table[PLAN_MAX_TABLES];
	struct plan_table used[PLAN_MAX_TABLES]; /* the same, for plans */
	size_t count;
};
#define SOURCE_NONE                                                                            \
	{                                                                                      \
		.cache = { .layout = LAYOUT_NONE }, .carried = LAYOUT_NONE,                    \
		.offered = LAYOUT_NONE                                                         \
	}
#define AUTO_SOURCE __attribute__((cleanup(source_close)))
void source_close(struct source *source);

/* Verifies before it parses. out_source was SOURCE_NONE but for the caller's fields; serials and note are filled in any case, and the
 * caller closes it in any case. REASON_DONE, or the reason with err filled: untrusted (also without a
 * trust.json), damaged; serial (no candidate is acceptable, and one of them for its age), not_carried
 * (no cache). */
enum reason source_open(const struct machine *machine, const struct facts *facts,
			struct source *out_source, struct err *err);

/* The same of what is stored alone, whatever is carried: for the way back of what it was the statement of, and of nothing
 * else, since the floor is not asked. Its blobs are the ones that are kept here: tables, and records that were chosen. */
MUST_USE int source_open_stored(const struct machine *machine, const struct facts *facts,
				struct source *out_source, struct err *err);

/* Only finds what is carried: nothing of it is proven. out_path, which the caller frees, names it in errors. */
MUST_USE int source_find(const struct machine *machine, char **out_path,
			 struct layout *out_layout, struct err *err);

/* Proves the top in a layout, which is taken, as source_open would; path names it in errors. Whether it is newer than
 * what is here is the caller's question. ERR_STALE: below the floor. Others as cache_open. */
MUST_USE int source_judge_offer(const struct machine *machine, struct layout *layout,
				const char *path, struct cache *out_cache, struct err *err);

/* Once the statement is accepted: keeps a newer version of the trust root that the cache proved, then stores
 * the statement, unless it is the stored one. Where that fails, the machine goes on as it was. */
MUST_USE int source_remember(const struct machine *machine, struct source *source,
			     const struct facts *facts, struct err *err);

/* Once the tables are read: removes what neither the stored statement nor one of these records reaches: the records
 * themselves, and the blobs of their files. */
MUST_USE int source_tidy(const struct machine *machine, const struct source *source,
			 const struct facts *facts, const struct stored_reach *records,
			 struct stored_tidied *out_tidied, struct err *err);

/* Asks for a table or a record, of which no chunks are known: as lack_get. */
MUST_USE int source_get(struct source *source, const struct digest_size *id, struct err *err);

/* Once something was taken: what was fetched lies in /var/lib/larder/blobs, also where nothing is stored, or what is stored
 * lost its tables. */
void source_use_kept(struct source *source);

/* Is the blob of this file, by itself, in a place and not what was signed? One that is not there is no damage. */
bool source_is_damaged(const struct blobs *place, struct blob_scratch *scratch,
		       const struct record_file *part);

/* Removes the copies of these blobs in /var/lib/larder/blobs that are not what they were; returns how many. */
size_t source_drop_damaged(const struct source *source, const struct record *record);

/* Stores a record that was chosen: what it installed can be proven without the cache. */
MUST_USE int source_keep_record(const struct machine *machine, const struct source *source,
				const struct table_row *row, struct err *err);

/* For errors of reading the cache: what the kernel will not open there is ERR_DAMAGED. */
void source_judge(struct err *err);

/* Reads the tables that fit the facts. REASON_DONE, or the reason with text filled. */
enum reason source_read_tables(struct source *source, const struct facts *facts,
			       char text[PLAN_TEXT_MAX]);

/* As cache_record. REASON_DONE, or the reason with err filled. */
enum reason source_record(struct source *source, const struct table_row *row,
			  struct record *out_record, struct err *err);

#endif
