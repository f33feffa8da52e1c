#include "bake/archive_near.h"

#include <stdio.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/name.h"

#define GRAM 3 /* names are alike when they share runs of three bytes */

struct candidate {
	const char *name;
	size_t score;
};

void archive_near_add(struct archive_near *names, const char *name)
{
	if (names->all++ >= ARCHIVE_NEAR_MAX_NAMES || strlen(name) > NAME_PATH_MAX_BYTES)
		return;
	names->name = must_realloc(names->name, names->count + 1, sizeof(*names->name));
	names->name[names->count++] = must_strdup(name);
}

static size_t score_of(const char *glob, const char *name)
{
	size_t score = 0;
	char gram[GRAM + 1];

	for (size_t i = 0; strnlen(glob + i, GRAM) == GRAM; i++) {
		memcpy(gram, glob + i, GRAM);
		gram[GRAM] = '\0';
		if (!strchr(gram, '*') && strstr(name, gram))
			score++;
	}
	return score;
}

/* Keeps the best, the first of equals first. */
static void insert(struct candidate best[ARCHIVE_NEAR_SHOWN], struct candidate new)
{
	for (size_t i = 0; i < ARCHIVE_NEAR_SHOWN; i++) {
		struct candidate old = best[i];

		if (new.score <= old.score)
			continue;
		best[i] = new;
		new = old;
	}
}

void archive_near_text(const struct archive_near *names, const char *glob, char *out,
		       size_t out_size)
{
	struct candidate best[ARCHIVE_NEAR_SHOWN] = { 0 };
	size_t used;

	for (size_t i = 0; i < names->count; i++)
		insert(best,
		       (struct candidate) { names->name[i], score_of(glob, names->name[i]) });
	if (!best[0].name) {
		snprintf(out, out_size, "none of its %zu files is alike", names->all);
		return;
	}
	snprintf(out, out_size, "nearest: %s", best[0].name);
	for (size_t i = 1; i < ARCHIVE_NEAR_SHOWN && best[i].name; i++) {
		used = strlen(out);
		snprintf(out + used, out_size - used, ", %s", best[i].name);
	}
}

void archive_near_free(struct archive_near *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct archive_near) { 0 };
}
