#include <string.h>

#include "bake/describe.h"
#include "bake/diff.h"
#include "bake/plain.h"

/* How lines begin: for a terminal, and in Markdown. */
struct style {
	const char *heading, *item, *detail;
	const char *quote; /* around what others wrote */
};

static const struct style plain = { "", "  ", "      ", "" };
static const struct style markdown = { "## ", "- ", "  - ", "`" };

struct printer {
	FILE *to;
	const struct style *style;
};

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_heading(const struct printer *printer, const char *text)
{
	const char *blank = printer->style == &markdown ? "\n" : "";

	fprintf(printer->to, "%s%s%s\n%s", blank, printer->style->heading, text, blank);
}

static void print_bundles(const struct printer *printer, const char *heading,
			  const json_t *bundles)
{
	const json_t *bundle;
	size_t i;

	if (json_array_size(bundles))
		print_heading(printer, heading);
	json_array_foreach(bundles, i, bundle)
	{
		AUTO_FREE char *title = describe_title(bundle);
		char size[DESCRIBE_BYTES_MAX];

		fprintf(printer->to, "%s%s%s%s, %s, %s\n", printer->style->item,
			printer->style->quote, title, printer->style->quote,
			describe_bytes((uint64_t)number_of(bundle, "bytes"), size),
			describe_state(bundle));
	}
}

static void print_file(const struct printer *printer, const char *sign, const json_t *file)
{
	char size[DESCRIBE_BYTES_MAX];

	fprintf(printer->to, "%sfile %s %s%s%s (%s)\n", printer->style->detail, sign,
		printer->style->quote, json_string_value(json_object_get(file, "path")),
		printer->style->quote, describe_bytes((uint64_t)number_of(file, "size"), size));
}

static void print_files(const struct printer *printer, const json_t *files)
{
	static const char *const lists[][2] = { { "removed", "-" }, { "added", "+" } };
	const json_t *file;
	size_t i;

	for (size_t list = 0; list < COUNT_OF(lists); list++) {
		json_array_foreach(json_object_get(files, lists[list][0]), i, file)
		{
			print_file(printer, lists[list][1], file);
		}
	}
	json_array_foreach(json_object_get(files, "changed"), i, file)
	{
		const json_t *from = json_object_get(file, "from");
		const json_t *to = json_object_get(file, "to");
		char old[DESCRIBE_BYTES_MAX], new[DESCRIBE_BYTES_MAX];

		fprintf(printer->to, "%sfile ~ %s%s%s (%s, now %s)\n", printer->style->detail,
			printer->style->quote, json_string_value(json_object_get(to, "path")),
			printer->style->quote,
			describe_bytes((uint64_t)number_of(from, "size"), old),
			describe_bytes((uint64_t)number_of(to, "size"), new));
	}
}

static void print_texts(const struct printer *printer, const char *begin, const char *key,
			const json_t *change)
{
	static const char *const lists[][2] = { { "removed", "-" }, { "added", "+" } };
	const json_t *item;
	size_t i;

	for (size_t list = 0; list < COUNT_OF(lists); list++) {
		json_array_foreach(json_object_get(change, lists[list][0]), i, item)
		{
			fprintf(printer->to, "%s%s%s%s %s%s%s\n", begin, key, *key ? " " : "",
				lists[list][1], printer->style->quote, json_string_value(item),
				printer->style->quote);
		}
	}
}

/* Numbers and the like are as they are. */
static void print_value(const struct printer *printer, const json_t *value)
{
	AUTO_FREE char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	bool quoted = json_is_string(value) || json_is_array(value) || json_is_object(value);
	const char *quote = quoted ? printer->style->quote : "";

	fprintf(printer->to, "%s%s%s", quote, text, quote);
}

static void print_values(const struct printer *printer, const char *key, const json_t *change)
{
	fprintf(printer->to, "%s%s: ", printer->style->detail, key);
	print_value(printer, json_object_get(change, "from"));
	fputs(", now ", printer->to);
	print_value(printer, json_object_get(change, "to"));
	fputs("\n", printer->to);
}

static void print_fields(const struct printer *printer, json_t *fields)
{
	const char *key;
	json_t *change;

	json_object_foreach(fields, key, change)
	{
		if (strcmp(key, "files") == 0)
			print_files(printer, change);
		else if (json_object_get(change, "added"))
			print_texts(printer, printer->style->detail, key, change);
		else
			print_values(printer, key, change);
	}
}

static void print_changed(const struct printer *printer, const json_t *changed)
{
	const json_t *bundle;
	size_t i;

	if (json_array_size(changed))
		print_heading(printer, "changed");
	json_array_foreach(changed, i, bundle)
	{
		fprintf(printer->to, "%s%s%s%s\n", printer->style->item, printer->style->quote,
			json_string_value(json_object_get(bundle, "bundle")),
			printer->style->quote);
		print_fields(printer, json_object_get(bundle, "fields"));
	}
}

static void print_list(const struct printer *printer, const char *key, const json_t *change)
{
	if (json_array_size(json_object_get(change, "added")) ||
	    json_array_size(json_object_get(change, "removed"))) {
		print_heading(printer, key);
		print_texts(printer, printer->style->item, "", change);
	}
}

static void print_top(const struct printer *printer, const json_t *diff)
{
	const json_t *serial = json_object_get(diff, "serial");
	const json_t *name = json_object_get(diff, "name");
	const char *from = json_string_value(json_object_get(name, "from"));
	const char *to = json_string_value(json_object_get(name, "to"));
	const char *quote = printer->style->quote;

	fprintf(printer->to, "%s%s%s%s serial %lld, now ",
		printer->style == &markdown ? "# " : "", quote, from, quote,
		(long long)number_of(serial, "from"));
	if (strcmp(from, to) != 0)
		fprintf(printer->to, "%s%s%s ", quote, to, quote);
	fprintf(printer->to, "serial %lld%s\n", (long long)number_of(serial, "to"),
		json_is_true(json_object_get(diff, "same"))
			? ": the same offer, and the same of it carried"
			: "");
}

static void print_all(const struct printer *printer, const json_t *diff)
{
	static const char *const lists[][2] = { { "sources", "sources" },
						{ "withdrawn", "withdrawn" },
						{ "tables", "tables" },
						{ "carried", "carried" } };

	print_top(printer, diff);
	print_bundles(printer, "removed", json_object_get(diff, "removed"));
	print_bundles(printer, "added", json_object_get(diff, "added"));
	print_changed(printer, json_object_get(diff, "changed"));
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		print_list(printer, lists[i][1], json_object_get(diff, lists[i][0]));
}

void diff_print_text(FILE *to, const json_t *diff)
{
	AUTO_JSON json_t *texts = plain_texts(diff);

	print_all(&(struct printer) { to, &plain }, texts);
}

void diff_print_markdown(FILE *to, const json_t *diff)
{
	AUTO_JSON json_t *texts = plain_spans(diff);

	print_all(&(struct printer) { to, &markdown }, texts);
}
