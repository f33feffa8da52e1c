#include "firstboot/journal.h"

#include <string.h>

#include "cache/base/fs.h"
#include "cache/name.h"
#include "cache/record.h"
#include "firstboot/state.h"

#define JOURNAL_NAME "journal"
#define JOURNAL_FORMAT "larder.journal.v1"

static const char *const state_names[] = {
	[JOURNAL_RUNNING] = "running", [JOURNAL_DONE] = "done",
	[JOURNAL_FAILED] = "failed",   [JOURNAL_UNDOING] = "undoing",
	[JOURNAL_UNDONE] = "undone",   [JOURNAL_REMOVING] = "removing",
	[JOURNAL_REMOVED] = "removed",
};

/* What a new cache makes of each; and is a part of the bundle on the machine? */
static const struct {
	bool half, stays;
	enum journal_state with_new_cache;
} rules[] = {
	[JOURNAL_RUNNING] = { true, true, JOURNAL_FAILED },
	[JOURNAL_DONE] = { false, true, JOURNAL_DONE },
	[JOURNAL_FAILED] = { true, true, JOURNAL_FAILED },
	[JOURNAL_UNDOING] = { true, true, JOURNAL_UNDOING },
	[JOURNAL_UNDONE] = { false, false, JOURNAL_UNDONE },
	[JOURNAL_REMOVING] = { true, true, JOURNAL_UNDOING },
	[JOURNAL_REMOVED] = { false, false, JOURNAL_REMOVED },
};

bool journal_is_half(const struct journal_entry *entry)
{
	return rules[entry->state].half;
}

bool journal_is_going(const struct journal_entry *entry)
{
	return entry->state == JOURNAL_UNDOING || entry->state == JOURNAL_REMOVING;
}

bool journal_is_left(const struct journal_entry *entry)
{
	return journal_is_half(entry) && entry->undo_tries >= JOURNAL_MAX_TRIES;
}

static int parse_entry(const json_t *value, struct journal_entry *entry, struct err *err)
{
	struct json_reader reader = json_open(value, "bundle", err);
	const char *kernel = json_need_string(&reader, "kernel", FACTS_TEXT_MAX - 1);

	state_need_digest(&reader, "record", &entry->record);
	state_need_digest(&reader, "boot", &entry->boot);
	entry->step = json_need_number(&reader, "step", RECORD_MAX_STEPS);
	entry->tries = json_need_number(&reader, "tries", JSON_MAX_INTEGER);
	entry->undo_tries = json_want_number(&reader, "undo_tries", JSON_MAX_INTEGER, 0);
	entry->state = (enum journal_state)state_need_word(&reader, "state", state_names,
							   COUNT_OF(state_names));
	if (kernel && !name_is_release(kernel))
		json_bad(&reader, "kernel", "no release");
	snprintf(entry->kernel, sizeof(entry->kernel), "%s", kernel ? kernel : "");
	return json_close(&reader);
}

static int parse(const json_t *root, struct journal *journal, struct err *err)
{
	struct json_reader reader = json_open(root, "", err);
	const json_t *bundles = json_need_array(&reader, "bundles", JOURNAL_MAX_ENTRIES);

	state_need_format(&reader, JOURNAL_FORMAT);
	state_need_digest(&reader, "machine", &journal->machine);
	state_need_digest(&reader, "envelope", &journal->envelope);
	if (json_close(&reader) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(bundles); i++) {
		if (parse_entry(json_array_get(bundles, i), &journal->entry[i], err) < 0)
			return -1;
		journal->count++;
	}
	return 0;
}

static void begin_anew(struct journal *journal)
{
	size_t kept = 0;

	for (size_t i = 0; i < journal->count; i++) {
		struct journal_entry entry = journal->entry[i];

		if (!rules[entry.state].stays)
			continue;
		if (rules[entry.state].half)
			entry.tries = entry.undo_tries = 0;
		entry.state = rules[entry.state].with_new_cache;
		journal->entry[kept++] = entry;
	}
	journal->count = kept;
}

bool journal_load(int dir, const struct journal *now, struct journal *out_journal)
{
	AUTO_JSON json_t *root = NULL;
	struct journal journal = { 0 };
	struct err none = { 0 };
	bool ours = json_read_at(dir, JOURNAL_NAME, JOURNAL_MAX_BYTES, &root, &none) == 0 &&
		    parse(root, &journal, &none) == 0 &&
		    digest_equal(&journal.machine, &now->machine);

	if (!ours)
		journal = (struct journal) { 0 };
	if (!digest_equal(&journal.envelope, &now->envelope))
		begin_anew(&journal);
	journal.machine = now->machine;
	journal.envelope = now->envelope;
	journal.boot = now->boot;
	*out_journal = journal;
	return ours;
}

static json_t *entry_json(const struct journal_entry *entry)
{
	char record[DIGEST_TEXT_MAX], boot[DIGEST_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I}", "record",
			 digest_text(&entry->record, record), "boot",
			 digest_text(&entry->boot, boot), "kernel", entry->kernel, "step",
			 (json_int_t)entry->step, "state", state_names[entry->state], "tries",
			 (json_int_t)entry->tries, "undo_tries", (json_int_t)entry->undo_tries);
}

int journal_save(int dir, const struct journal *journal, struct err *err)
{
	char machine[DIGEST_TEXT_MAX], envelope[DIGEST_TEXT_MAX];
	json_t *bundles = json_array();
	AUTO_JSON json_t *root =
		json_pack("{s:s, s:s, s:s, s:o}", "format", JOURNAL_FORMAT, "machine",
			  digest_text(&journal->machine, machine), "envelope",
			  digest_text(&journal->envelope, envelope), "bundles", bundles);
	AUTO_FREE char *text = NULL;
	size_t size;

	for (size_t i = 0; i < journal->count; i++)
		json_array_append_new(bundles, entry_json(&journal->entry[i]));
	text = json_text(root, &size);
	if (fs_replace(dir, JOURNAL_NAME, text, size, 0600, err) < 0)
		return err_wrap(err, "journal");
	return 0;
}

static struct journal_entry *find(struct journal *journal, const struct digest *record,
				  const char *kernel)
{
	for (size_t i = 0; i < journal->count; i++) {
		struct journal_entry *entry = &journal->entry[i];

		if (digest_equal(&entry->record, record) && strcmp(entry->kernel, kernel) == 0)
			return entry;
	}
	return NULL;
}

const struct journal_entry *journal_find(const struct journal *journal,
					 const struct digest *record, const char *kernel)
{
	return find((struct journal *)(uintptr_t)journal, record, kernel);
}

/* A new entry at the end; the oldest goes when there is no room. */
static struct journal_entry *add(struct journal *journal, const struct digest *record,
				 const char *kernel)
{
	struct journal_entry *entry;

	if (journal->count == JOURNAL_MAX_ENTRIES) {
		memmove(journal->entry, journal->entry + 1,
			(JOURNAL_MAX_ENTRIES - 1) * sizeof(*journal->entry));
		journal->count--;
	}
	entry = &journal->entry[journal->count++];
	*entry = (struct journal_entry) { .record = *record };
	snprintf(entry->kernel, sizeof(entry->kernel), "%s", kernel);
	return entry;
}

int journal_begin(int dir, struct journal *journal, const struct digest *record,
		  const char *kernel, struct err *err)
{
	struct journal_entry *entry = find(journal, record, kernel);

	if (!entry)
		entry = add(journal, record, kernel);
	if (entry->state == JOURNAL_DONE)
		entry->tries = 0;
	entry->tries++;
	entry->undo_tries = 0;
	entry->boot = journal->boot;
	entry->step = 0;
	entry->state = JOURNAL_RUNNING;
	return journal_save(dir, journal, err);
}

int journal_mark(int dir, struct journal *journal, const struct digest *record,
		 const char *kernel, uint64_t step, enum journal_state state, struct err *err)
{
	struct journal_entry *entry = find(journal, record, kernel);

	if (!entry)
		entry = add(journal, record, kernel);
	entry->boot = journal->boot;
	entry->step = step;
	entry->state = state;
	if (!journal_is_half(entry))
		entry->undo_tries = 0;
	return journal_save(dir, journal, err);
}

int journal_begin_undo(int dir, struct journal *journal, const struct digest *record,
		       const char *kernel, enum journal_state state, struct err *err)
{
	struct journal_entry *entry = find(journal, record, kernel);

	if (!entry)
		return 0;
	entry->undo_tries++;
	entry->boot = journal->boot;
	entry->state = state;
	return journal_save(dir, journal, err);
}

int journal_forgive_undo(int dir, struct journal *journal, const struct digest *record,
			 const char *kernel, struct err *err)
{
	struct journal_entry *entry = find(journal, record, kernel);

	if (!entry)
		return 0;
	entry->undo_tries = 0;
	return journal_save(dir, journal, err);
}

void journal_forgive(struct journal *journal, const struct digest *record, const char *kernel)
{
	struct journal_entry *entry = find(journal, record, kernel);

	if (entry && entry->tries > 0)
		entry->tries--;
}

static bool is_among(const struct digest *records, size_t count, const struct digest *record)
{
	for (size_t i = 0; i < count; i++) {
		if (digest_equal(&records[i], record))
			return true;
	}
	return false;
}

void journal_keep(struct journal *journal, const struct digest *records, size_t count,
		  const char *kernel)
{
	size_t kept = 0;

	for (size_t i = 0; i < journal->count; i++) {
		const struct journal_entry *entry = &journal->entry[i];

		if (journal_is_half(entry) || (strcmp(entry->kernel, kernel) == 0 &&
					       is_among(records, count, &entry->record)))
			journal->entry[kept++] = *entry;
	}
	journal->count = kept;
}

int journal_forget_kernel(int dir, const char *kernel, struct err *err)
{
	AUTO_JSON json_t *root = NULL;
	struct journal journal = { 0 };
	struct err none = { 0 };
	size_t kept = 0;

	if (json_read_at(dir, JOURNAL_NAME, JOURNAL_MAX_BYTES, &root, &none) < 0 ||
	    parse(root, &journal, &none) < 0)
		return 0;
	for (size_t i = 0; i < journal.count; i++) {
		const struct journal_entry *entry = &journal.entry[i];

		if (strcmp(entry->kernel, kernel) != 0 || journal_is_half(entry))
			journal.entry[kept++] = *entry;
	}
	if (kept == journal.count)
		return 0;
	journal.count = kept;
	return journal_save(dir, &journal, err);
}

void journal_retry(struct journal *journal)
{
	for (size_t i = 0; i < journal->count; i++) {
		struct journal_entry *entry = &journal->entry[i];

		if (entry->state == JOURNAL_REMOVED)
			entry->state = JOURNAL_UNDONE;
		if (entry->state == JOURNAL_REMOVING)
			entry->state = JOURNAL_UNDOING;
		if (entry->state != JOURNAL_DONE)
			entry->tries = entry->undo_tries = 0;
	}
}
