#include "cache/symvers.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/auto.h"

void symvers_free(struct symvers *symvers)
{
	for (size_t i = 0; i < symvers->text_count; i++)
		free(symvers->text[i]);
	free(symvers->text);
	free(symvers->row);
	*symvers = (struct symvers) { 0 };
}

static const char *keep(struct symvers *symvers, char *text)
{
	symvers->text =
		must_realloc(symvers->text, symvers->text_count + 1, sizeof(*symvers->text));
	symvers->text[symvers->text_count++] = text;
	return text;
}

static void add(struct symvers *symvers, const struct symvers_row *row)
{
	if (symvers->count == symvers->room) {
		symvers->room = symvers->room ? 2 * symvers->room : 256;
		symvers->row = must_realloc(symvers->row, symvers->room, sizeof(*symvers->row));
	}
	symvers->row[symvers->count++] = *row;
	symvers->settled = false;
}

/* Cuts a line into fields in place. The namespace, and tabs behind it, may be missing: kernels before 5.8. */
static bool parse_line(char *line, struct symvers_row *out)
{
	const char *number = strsep(&line, "\t");
	const char *name = line ? strsep(&line, "\t") : NULL;
	const char *module = line ? strsep(&line, "\t") : NULL;
	unsigned long crc;
	char *end;

	if (!module || !line || !*name || strlen(name) >= KO_SYMBOL_MAX ||
	    strncmp(number, "0x", 2) != 0 || !number[2])
		return false;
	crc = strtoul(number + 2, &end, 16);
	if (*end || crc > UINT32_MAX)
		return false;
	/* 0: a kernel without symbol versions. */
	*out = (struct symvers_row) { name, module, (uint32_t)crc, crc != 0 };
	return true;
}

static int add_lines(struct symvers *symvers, char *text, struct err *err)
{
	size_t number = 0;

	for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n")) {
		struct symvers_row row;

		number++;
		if (line[0] == '\0')
			continue;
		if (!parse_line(line, &row))
			return err_set(err, ERR_INVALID,
				       "line %zu is no line of a Module.symvers", number);
		if (symvers->count == SYMVERS_MAX_ROWS)
			return err_set(err, ERR_INVALID, "more than %d symbols",
				       SYMVERS_MAX_ROWS);
		add(symvers, &row);
	}
	return 0;
}

int symvers_add_file(struct symvers *symvers, const char *text, size_t size, struct err *err)
{
	size_t before = symvers->count;
	AUTO_FREE char *copy = NULL;

	if (size > SYMVERS_MAX_BYTES)
		return err_set(err, ERR_INVALID, "more than %u bytes", SYMVERS_MAX_BYTES);
	copy = malloc(size + 1);
	if (!copy)
		return err_set(err, ERR_INVALID, "no memory for it");
	memcpy(copy, text, size);
	copy[size] = '\0';
	if (strlen(copy) != size || add_lines(symvers, copy, err) < 0) {
		symvers->count = before;
		return err->kind ? -1 : err_set(err, ERR_INVALID, "it holds a NUL");
	}
	if (symvers->count == before)
		return err_set(err, ERR_INVALID, "it is empty");
	keep(symvers, take_ptr(&copy));
	symvers->whole = true;
	return 0;
}

static void add_all(struct symvers *symvers, const struct ko_symbol *symbol, size_t count,
		    const char *module, bool only_with_crc)
{
	const char *from = keep(symvers, must_strdup(module));

	for (size_t i = 0; i < count && symvers->count < SYMVERS_MAX_ROWS; i++) {
		struct symvers_row row = { .module = from,
					   .crc = symbol[i].crc,
					   .has_crc = symbol[i].has_crc };

		if (only_with_crc && !row.has_crc)
			continue;
		row.name = keep(symvers, must_strdup(symbol[i].name));
		add(symvers, &row);
	}
}

void symvers_add_needs(struct symvers *symvers, const struct ko *ko)
{
	add_all(symvers, ko->need, ko->need_count, "", true);
}

void symvers_add_exports(struct symvers *symvers, const struct ko *ko, const char *name)
{
	add_all(symvers, ko->export, ko->export_count, name, false);
}

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct symvers_row *)left)->name,
		      ((const struct symvers_row *)right)->name);
}

struct placed {
	struct symvers_row row;
	size_t place;
};

static int by_name_and_place(const void *left, const void *right)
{
	const struct placed *here = left, *there = right;
	int order = strcmp(here->row.name, there->row.name);

	return order ? order : (here->place > there->place) - (here->place < there->place);
}

void symvers_settle(struct symvers *symvers)
{
	AUTO_FREE struct placed *all = must_calloc(symvers->count, sizeof(*all));
	size_t kept = 0;

	for (size_t i = 0; i < symvers->count; i++)
		all[i] = (struct placed) { symvers->row[i], i };
	qsort(all, symvers->count, sizeof(*all), by_name_and_place);
	for (size_t i = 0; i < symvers->count; i++) {
		if (!kept || strcmp(symvers->row[kept - 1].name, all[i].row.name) != 0)
			symvers->row[kept++] = all[i].row;
	}
	symvers->count = kept;
	symvers->settled = true;
}

const struct symvers_row *symvers_find(const struct symvers *symvers, const char *name)
{
	const struct symvers_row key = { .name = name };

	if (!symvers->settled)
		abort(); /* a caller's mistake: nothing outside can lead here */
	return symvers->count ? bsearch(&key, symvers->row, symvers->count,
					sizeof(*symvers->row), by_name)
			      : NULL;
}

/* "net/core/failover" is the module failover; dashes are underscores. */
static bool is_module(const char *path, const char *name, size_t length)
{
	const char *last = strrchr(path, '/');
	const char *base = last ? last + 1 : path;

	if (strlen(base) != length)
		return false;
	for (size_t i = 0; i < length; i++) {
		if ((base[i] == '-' ? '_' : base[i]) != (name[i] == '-' ? '_' : name[i]))
			return false;
	}
	return true;
}

bool symvers_has_module(const struct symvers *symvers, const char *name, size_t length)
{
	for (size_t i = 0; i < symvers->count; i++) {
		if (is_module(symvers->row[i].module, name, length))
			return true;
	}
	return false;
}
