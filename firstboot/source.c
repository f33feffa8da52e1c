#include "firstboot/source.h"

#include <string.h>

#define TRUST_PATH "/" MACHINE_ETC "/trust.json"
#define FLOOR_PATH "/" MACHINE_ETC "/floor"
#define FLOOR_MAX_BYTES 32

void source_close(struct source *source)
{
	for (size_t i = 0; i < source->count; i++)
		table_free(&source->table[i]);
	cache_close(&source->cache);
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

static int open_cache(const struct machine *machine, const struct trust *trust, uint64_t floor,
		      struct source *source, struct err *err)
{
	AUTO_FREE char *path =
		must_printf("%s/" MACHINE_CACHE, machine->whole ? "" : machine->path);

	if (cache_open(machine->root, path, trust, floor, &source->cache, err) == 0)
		return 0;
	return err->kind == ERR_MISSING ? err_wrap(err, "no cache") : -1;
}

enum reason source_open(const struct machine *machine, struct source *out_source,
			struct err *err)
{
	struct source source = SOURCE_NONE;
	struct trust trust;
	uint64_t floor = 0;

	if (read_trust(machine, &trust, err) < 0 || read_floor(machine, &floor, err) < 0 ||
	    open_cache(machine, &trust, floor, &source, err) < 0)
		return reason_of_err(err);
	*out_source = source;
	return REASON_DONE;
}

enum reason source_read_tables(struct source *source, const struct facts *facts,
			       char text[PLAN_TEXT_MAX])
{
	size_t index[PLAN_MAX_TABLES], count;
	enum reason reason = plan_tables(&source->cache.statement, facts, index, &count, text);
	struct err err = { 0 };

	if (reason != REASON_DONE)
		return reason;
	for (size_t i = 0; i < count; i++) {
		if (cache_table(&source->cache, index[i], &source->table[i], &err) < 0) {
			snprintf(text, PLAN_TEXT_MAX, "%.511s", err.text);
			return reason_of_err(&err);
		}
		source->count++;
	}
	return REASON_DONE;
}
