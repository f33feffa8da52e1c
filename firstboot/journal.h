/* journal.h - how far each bundle came, so that a run after a crash knows; digests and numbers only (T28). */
#ifndef LARDER_JOURNAL_H
#define LARDER_JOURNAL_H

#include "cache/facts.h"

#define JOURNAL_MAX_BYTES 65536
#define JOURNAL_MAX_ENTRIES 64
#define JOURNAL_MAX_TRIES 3 /* of a bundle that never completed; and of its undo */

/* What a bundle has on the machine: of RUNNING, FAILED, UNDOING and REMOVING a part, of DONE all, of the others nothing.
 *
 *     RUNNING -> DONE
 *        |         \
 *        v          -> REMOVING -> REMOVED     its owner asked: not begun again before a new cache, or run --again
 *      FAILED -> UNDOING -> UNDONE             begun again until its tries are used up
 *
 * UNDOING and REMOVING stay where they are when the tries of the undo are used up: it may be what stops the machine. */
enum journal_state {
	JOURNAL_RUNNING,
	JOURNAL_DONE,
	JOURNAL_FAILED,
	JOURNAL_UNDOING,
	JOURNAL_UNDONE,
	JOURNAL_REMOVING,
	JOURNAL_REMOVED,
};

struct journal_entry {
	struct digest record; /* names the bundle */
	struct digest boot; /* of the id of the boot that wrote this entry last */
	char kernel[FACTS_TEXT_MAX];
	uint64_t
		step; /* the install step that was begun last; while it is undone, that is undone next */
	uint64_t tries;
	uint64_t undo_tries; /* of an undo that did not complete */
	enum journal_state state;
};

struct journal {
	struct digest machine; /* of the machine id */
	struct digest envelope;
	struct digest boot; /* of this boot's id */
	struct journal_entry entry[JOURNAL_MAX_ENTRIES];
	size_t count;
};

/* Reads the journal in dir. One that is missing, malformed or of another machine gives an empty one. With
 * another envelope only what has something on the machine stays, and all its tries are left: a new cache is a new
 * try. now holds what is so today: machine, envelope and boot. False: there was none of this machine. */
bool journal_load(int dir, const struct journal *now, struct journal *out_journal);
MUST_USE int journal_save(int dir, const struct journal *journal, struct err *err);

/* NULL: this bundle was never begun for this kernel. */
const struct journal_entry *journal_find(const struct journal *journal,
					 const struct digest *record, const char *kernel);

/* Each saves before it returns. begin counts a try; begin_undo, whose state is UNDOING or REMOVING, one of the undo. */
MUST_USE int journal_begin(int dir, struct journal *journal, const struct digest *record,
			   const char *kernel, struct err *err);
MUST_USE int journal_mark(int dir, struct journal *journal, const struct digest *record,
			  const char *kernel, uint64_t step, enum journal_state state,
			  struct err *err);

MUST_USE int journal_begin_undo(int dir, struct journal *journal, const struct digest *record,
				const char *kernel, enum journal_state state, struct err *err);
/* The undo has all its tries again: its owner asks for it, or what stopped it was the machine's state. */
MUST_USE int journal_forgive_undo(int dir, struct journal *journal, const struct digest *record,
				  const char *kernel, struct err *err);

/* Is a part of the bundle on the machine, which has to be completed or taken off? */
bool journal_is_half(const struct journal_entry *entry);
/* Is it on its way back? */
bool journal_is_going(const struct journal_entry *entry);
/* Is it left there, since its undo has no try left? */
bool journal_is_left(const struct journal_entry *entry);

/* Forgets every bundle but these, for this kernel: what is installed now may have replaced the others, so
 * that they are done no longer. One that is half there is never forgotten. Not saved before the next mark. */
void journal_keep(struct journal *journal, const struct digest *records, size_t count,
		  const char *kernel);

/* Takes a try back: what stopped it was the machine's state, and the owner will mend that. Not saved
 * before the next mark. */
void journal_forgive(struct journal *journal, const struct digest *record, const char *kernel);

/* Forgets what was done for a kernel that is no more; saves. What is half there stays known. */
MUST_USE int journal_forget_kernel(int dir, const char *kernel, struct err *err);
/* The owner asks for it: whatever was given up, or taken off, may be begun again. Not saved before the next mark. */
void journal_retry(struct journal *journal);

#endif
