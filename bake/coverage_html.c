#include <string.h>

#include "bake/coverage_grid.h"

/* The policy lets nothing be fetched or run, whatever a name in the cache may be. */
static const char head[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
	"'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n"
	"<title>Driver coverage</title>\n"
	"<style>\n"
	":root { color-scheme: light dark; --page: #ffffff; --ink: #1d1d1f; --line: #c4c7cc;\n"
	"  --carried: #cdeed3; --carried-ink: #0b4a1a; --download: #ffe9b3; --download-ink: "
	"#543d00;\n"
	"  --miss: #f9cfcf; --miss-ink: #7a0f12; --none: #f1f2f4; --none-ink: #5c6066; }\n"
	"@media (prefers-color-scheme: dark) { :root { --page: #16181c; --ink: #e8e9eb; "
	"--line: "
	"#4a4e55;\n"
	"  --carried: #14401f; --carried-ink: #b9f0c5; --download: #4a3800; --download-ink: "
	"#ffe08a;\n"
	"  --miss: #5a1518; --miss-ink: #ffc9c9; --none: #23262b; --none-ink: #a4a8af; } }\n"
	"body { background: var(--page); color: var(--ink); font: 15px/1.45 system-ui, "
	"sans-serif;\n"
	"  margin: 2em auto; max-width: 72em; padding: 0 1em; }\n"
	"table { border-collapse: collapse; margin: 0.5em 0 2em; }\n"
	"caption { text-align: left; font-weight: 600; padding: 0.3em 0; }\n"
	"th, td { border: 1px solid var(--line); padding: 0.35em 0.7em; text-align: left;\n"
	"  vertical-align: top; }\n"
	"td small { display: block; }\n"
	".carried { background: var(--carried); color: var(--carried-ink); }\n"
	".download { background: var(--download); color: var(--download-ink); }\n"
	".miss { background: var(--miss); color: var(--miss-ink); }\n"
	".none { background: var(--none); color: var(--none-ink); }\n"
	"td a { color: inherit; }\n"
	".legend { list-style: none; padding: 0; }\n"
	".legend li { display: inline-block; border: 1px solid var(--line); padding: 0.2em "
	"0.7em;\n"
	"  margin: 0 0.5em 0.5em 0; }\n"
	".scroll { overflow-x: auto; }\n"
	"</style>\n"
	"</head>\n"
	"<body>\n";

static const struct {
	const char *state, *text;
} legend[] = {
	{ "carried",
	  "all that the machine needs is here; \"not compared\": no image was asked" },
	{ "download", "signed, not in this cache: a machine with a network fetches it" },
	{ "miss", "no driver, for the reason given" },
	{ "none", "not looked at" },
};

static void print_escaped(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", to);
		else if (*text == '<')
			fputs("&lt;", to);
		else if (*text == '>')
			fputs("&gt;", to);
		else if (*text == '"')
			fputs("&quot;", to);
		else if (*text == '\'')
			fputs("&#39;", to);
		else
			fputc(*text, to);
	}
}

/* before, the text, after. */
static void print_in(FILE *to, const char *before, const char *text, const char *after)
{
	fputs(before, to);
	print_escaped(to, text);
	fputs(after, to);
}

static void print_bundles(FILE *to, const json_t *bundles)
{
	const json_t *bundle;
	size_t i;

	json_array_foreach(bundles, i, bundle)
	{
		print_in(to, " <small>", json_string_value(bundle), "</small>");
	}
}

/* A reason, or what takes its place where the cell is carried. */
static const char *why(const json_t *object)
{
	return coverage_grid_is_carried(object) ? "not compared"
						: coverage_grid_text(object, "reason");
}

/* The state is one of three words of ours; it is text, and colour besides. */
static void print_cell(FILE *to, const json_t *cell)
{
	json_int_t note = json_integer_value(json_object_get(cell, "note"));

	if (!cell) {
		fputs("<td class=\"none\">-</td>", to);
		return;
	}
	print_in(to, "<td class=\"", coverage_grid_text(cell, "state"), "\">");
	print_in(to, "<b>", coverage_grid_text(cell, "state"), "</b>");
	if (note)
		fprintf(to, " <a href=\"#note-%lld\">%s (%lld)</a>", (long long)note, why(cell),
			(long long)note);
	else if (!json_is_true(json_object_get(cell, "compared")))
		fputs(" <small>not compared</small>", to);
	print_bundles(to, json_object_get(cell, "bundles"));
	fputs("</td>", to);
}

static void print_row(FILE *to, const struct coverage_group *group,
		      const struct coverage_row *row)
{
	const char *kernel = coverage_grid_text(row->first, "kernel");

	print_in(to, "<tr><th scope=\"row\">", *kernel ? kernel : "-", "");
	if (json_is_true(json_object_get(row->first, "glob")))
		fputs("<small> (every kernel like this)</small>", to);
	fputs("</th>", to);
	for (size_t i = 0; i < group->nic_count; i++)
		print_cell(to, row->cell[i]);
	fputs("</tr>\n", to);
}

static void print_group(FILE *to, const struct coverage_group *group)
{
	AUTO_FREE char *title = coverage_grid_title(group);

	print_in(to, "<div class=\"scroll\"><table>\n<caption>", title, "</caption>\n");
	fputs("<thead><tr><th scope=\"col\">kernel</th>", to);
	for (size_t i = 0; i < group->nic_count; i++)
		print_in(to, "<th scope=\"col\">", group->nic[i], "</th>");
	fputs("</tr></thead>\n<tbody>\n", to);
	for (size_t i = 0; i < group->row_count; i++)
		print_row(to, group, &group->row[i]);
	fputs("</tbody></table></div>\n", to);
}

static void print_notes(FILE *to, const json_t *notes)
{
	const json_t *note;
	size_t i;

	if (json_array_size(notes) == 0)
		return;
	fputs("<h2>Why</h2>\n<ol>\n", to);
	json_array_foreach(notes, i, note)
	{
		fprintf(to, "<li id=\"note-%zu\"><b>", i + 1);
		print_in(to, "", coverage_grid_text(note, "state"), ", ");
		print_in(to, "", why(note), "</b>: ");
		print_in(to, "", coverage_grid_text(note, "text"), "<br>");
		print_in(to, "", coverage_grid_text(note, "remedy"), "</li>\n");
	}
	fputs("</ol>\n", to);
}

void coverage_print_html(FILE *to, const json_t *document)
{
	AUTO_COVERAGE_GRID struct coverage_grid grid = coverage_grid_of(document);
	AUTO_FREE char *sum = coverage_grid_sum(&grid);
	json_t *serial = json_object_get(grid.document, "serial");

	fputs(head, to);
	print_in(to, "<h1>Driver coverage of ", coverage_grid_text(grid.document, "name"), "");
	fprintf(to, ", serial %lld</h1>\n<p>%s. Signatures are not checked here.</p>\n",
		(long long)json_integer_value(serial), sum);
	fputs("<ul class=\"legend\">\n", to);
	for (size_t i = 0; i < COUNT_OF(legend); i++)
		fprintf(to, "<li class=\"%s\"><b>%s</b>: %s</li>\n", legend[i].state,
			i + 1 < COUNT_OF(legend) ? legend[i].state : "-", legend[i].text);
	fputs("</ul>\n", to);
	for (size_t i = 0; i < grid.count; i++)
		print_group(to, &grid.group[i]);
	print_notes(to, grid.notes);
	fputs("</body>\n</html>\n", to);
}
