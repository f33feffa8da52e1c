#include "bake/lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bake/expand.h"
#include "bake/field.h"
#include "bake/flat.h"
#include "bake/flat_bundle.h"
#include "bake/lint_rules.h"
#include "bake/meet.h"

static const struct {
	const char *name, *remedy;
} kinds[LINT_KINDS] = {
	[LINT_INVALID] = { "invalid", "correct the field; docs/manifests.md has the format" },
	[LINT_SECRET] = { "secret", "take it out and revoke it; credentials belong into the "
				    "site file, by reference" },
	[LINT_HTTP] = { "http", "use https, or add the SHA-256 that the vendor publishes to "
				"pins" },
	[LINT_FIRMWARE] = { "firmware", "add the option: a driver must not flash firmware" },
	[LINT_SHELL] = { "shell",
			 "name the installer itself, or take a script into the bundle: "
			 "it is signed and reviewed there" },
	[LINT_TARGET] = { "target", "take the file for this OS, or correct the bundle" },
	[LINT_OVERLAP] = { "overlap", "give one of them another rank, or narrow what it "
				      "claims" },
	[LINT_UNREACHABLE] = { "unreachable",
			       "remove it, raise its rank, or let it claim more" },
	[LINT_PIN_UNUSED] = { "pin-unused", "remove the pin, or correct its URL" },
	[LINT_PIN_COPIED] = { "pin-copied", "one of the digests is not its file's: get the "
					    "right one" },
	[LINT_TO_PIN] = { "to-pin", "larder fetch --pin takes the file and writes the pin" },
};

/* One manifest on its way. */
struct sheet {
	struct lint *lint;
	const char *file;
	struct expansion expansion;
	json_t *pins; /* owned: url -> pin */
	json_t *used; /* owned: url -> true */
};

static void sheet_free(struct sheet *sheet)
{
	expansion_free(&sheet->expansion);
	json_decref(sheet->pins);
	json_decref(sheet->used);
}

struct lint lint_new(void)
{
	return (struct lint) { .findings = json_array(), .seen = json_object() };
}

void lint_free(struct lint *lint)
{
	for (size_t i = 0; i < lint->bundle_count; i++)
		json_decref(lint->bundles[i].flat);
	free(lint->bundles);
	json_decref(lint->findings);
	json_decref(lint->seen);
	*lint = (struct lint) { 0 };
}

const char *lint_kind_name(enum lint_kind kind)
{
	return kinds[kind].name;
}

void lint_add(struct lint *lint, enum lint_kind kind, const char *file, const char *at,
	      const char *format, ...)
{
	AUTO_FREE char *whole = NULL;
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	whole = must_printf("%s %s: %s: %s", kinds[kind].name, file, at, text);
	if (json_object_get(lint->seen, whole))
		return;
	json_object_set_new(lint->seen, whole, json_true());
	json_array_append_new(lint->findings,
			      json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", kinds[kind].name,
					"file", file, "at", at, "text", text, "remedy",
					kinds[kind].remedy));
	lint->count[kind]++;
}

/* Places have no blank after a colon; "pins["https://..."]" has none either. */
static void split_place(const char *text, char out_at[JSON_PATH_MAX], const char **out_rest)
{
	const char *end = strstr(text, ": ");

	out_at[0] = '\0';
	*out_rest = text;
	if (!end || end - text >= JSON_PATH_MAX)
		return;
	snprintf(out_at, JSON_PATH_MAX, "%.*s", (int)(end - text), text);
	*out_rest = end + 2;
}

void lint_add_error(struct lint *lint, const char *file, const struct err *err)
{
	size_t length = strlen(file);
	const char *text = err->text, *rest;
	char at[JSON_PATH_MAX];

	if (strncmp(text, file, length) == 0 && strncmp(text + length, ": ", 2) == 0)
		text += length + 2;
	split_place(text, at, &rest);
	lint_add(lint, LINT_INVALID, file, at, "%s", rest);
}

/* Where a field of an expanded bundle stands in the file: "template.install[0]". */
static void locate(const struct expand_bundle *bundle, const char *field,
		   char out_at[JSON_PATH_MAX])
{
	struct err err;
	const char *rest;

	err_set(&err, ERR_INVALID, "%s.%s: x", bundle->where, field);
	expand_locate(bundle, &err);
	split_place(err.text, out_at, &rest);
}

/* Replaces a URL that holds a secret, so that what follows can go on without it. */
static void clean_files(struct sheet *sheet, const json_t *files)
{
	const json_t *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)files, name, value)
	{
		const char *url = json_string_value(json_object_get(value, "url"));
		AUTO_FREE char *clean = url ? lint_url_clean(url) : NULL;
		char at[JSON_PATH_MAX];

		if (!url || !lint_url_has_secret(url))
			continue;
		field_where(at, "files.%s.url", name);
		lint_add(sheet->lint, LINT_SECRET, sheet->file, at,
			 "the URL holds a user name, a password or a token");
		json_object_set_new((json_t *)(uintptr_t)value, "url", json_string(clean));
	}
}

static void clean_pins(struct sheet *sheet, json_t *pins)
{
	const json_t *value;
	const char *url;
	void *next;
	size_t index = 0;

	json_object_foreach_safe(pins, next, url, value)
	{
		AUTO_FREE char *clean = lint_url_clean(url);
		char at[JSON_PATH_MAX];

		index++;
		if (!lint_url_has_secret(url))
			continue;
		field_where(at, "pins (URL %zu)", index);
		lint_add(sheet->lint, LINT_SECRET, sheet->file, at,
			 "the URL holds a user name, a password or a token");
		json_object_set(pins, clean, (json_t *)(uintptr_t)value);
		json_object_del(pins, url);
	}
}

static void check_commands(struct sheet *sheet, const struct expand_bundle *bundle)
{
	static const struct {
		enum lint_kind kind;
		const char *(*fault)(const json_t *step);
	} rules[] = { { LINT_FIRMWARE, lint_step_flashes },
		      { LINT_SHELL, lint_step_is_shell } };
	const json_t *step;
	size_t i;

	json_array_foreach(json_object_get(bundle->fields, "install"), i, step)
	{
		for (size_t rule = 0; rule < COUNT_OF(rules); rule++) {
			const char *text = rules[rule].fault(step);
			char field[JSON_PATH_MAX], at[JSON_PATH_MAX];

			if (!text)
				continue;
			field_where(field, "install[%zu]", i);
			locate(bundle, field, at);
			lint_add(sheet->lint, rules[rule].kind, sheet->file, at, "%s", text);
		}
	}
}

static void check_url(struct sheet *sheet, const struct expand_bundle *bundle, const char *url,
		      size_t i, const json_t *flat)
{
	char field[JSON_PATH_MAX], at[JSON_PATH_MAX];
	struct err err;

	field_where(field, "take[%zu].file", i);
	locate(bundle, field, at);
	json_object_set_new(sheet->used, url, json_true());
	if (lint_check_target(url, json_object_get(flat, "os"), json_object_get(flat, "arch"),
			      &err) < 0)
		lint_add(sheet->lint, LINT_TARGET, sheet->file, bundle->where, "%s", err.text);
	if (json_object_get(sheet->pins, url))
		return;
	if (strncmp(url, "http:", 5) == 0)
		lint_add(sheet->lint, LINT_HTTP, sheet->file, at, "%s has no pin", url);
	else
		lint_add(sheet->lint, LINT_TO_PIN, sheet->file, at, "%s has no pin", url);
}

static void keep_bundle(struct sheet *sheet, const struct expand_bundle *bundle, json_t *flat)
{
	struct lint *lint = sheet->lint;
	struct lint_bundle *kept;

	lint->bundles =
		must_realloc(lint->bundles, lint->bundle_count + 1, sizeof(*lint->bundles));
	kept = &lint->bundles[lint->bundle_count++];
	*kept = (struct lint_bundle) { .file = sheet->file, .flat = flat };
	snprintf(kept->at, sizeof(kept->at), "%s", bundle->where);
}

static void read_bundle(struct sheet *sheet, const struct expand_bundle *bundle,
			const struct site *site)
{
	const struct flat_context context = {
		.repos = json_object_get(site->document, "repos"),
	};
	const json_t *take;
	struct err err;
	json_t *flat;
	size_t i;

	check_commands(sheet, bundle);
	if (flat_bundle_read(bundle->fields, bundle->where, &context, &flat, &err) < 0) {
		expand_locate(bundle, &err);
		lint_add_error(sheet->lint, sheet->file, &err);
		return;
	}
	keep_bundle(sheet, bundle, flat);
	json_array_foreach(json_object_get(flat, "take"), i, take)
	{
		const char *url = json_string_value(json_object_get(take, "url"));

		if (url)
			check_url(sheet, bundle, url, i, flat);
	}
}

static const char *base_name(const char *url)
{
	const char *slash = strrchr(url, '/');

	return slash ? slash + 1 : url;
}

/* Pins that no bundle uses, and one digest for files of two names. */
static void check_pins(struct sheet *sheet)
{
	AUTO_JSON json_t *owners = json_object(); /* digest -> URL */
	const json_t *pin;
	const char *url;

	json_object_foreach(sheet->pins, url, pin)
	{
		const char *digest = json_string_value(json_object_get(pin, "sha256"));
		const char *owner = json_string_value(json_object_get(owners, digest));
		AUTO_FREE char *at = must_printf("pins[\"%s\"]", url);

		if (!json_object_get(sheet->used, url))
			lint_add(sheet->lint, LINT_PIN_UNUSED, sheet->file, at,
				 "no bundle takes this URL");
		if (owner && strcmp(base_name(owner), base_name(url)) != 0)
			lint_add(sheet->lint, LINT_PIN_COPIED, sheet->file, at,
				 "the digest is that of %s", owner);
		json_object_set_new(owners, digest, json_string(url));
	}
}

static int read_sheet(struct sheet *sheet, const json_t *document, const struct site *site,
		      struct err *err)
{
	struct flat_parts parts;

	if (flat_read_parts(document, json_object_get(site->document, "sets"), &parts, err) <
		    0 ||
	    flat_read_pins(parts.pins, &sheet->pins, err) < 0)
		return -1;
	return expand_bundles(&parts.source, &sheet->expansion, err);
}

void lint_manifest(struct lint *lint, const char *file, const json_t *document,
		   const struct site *site)
{
	AUTO(sheet_free)
	struct sheet sheet = { .lint = lint, .file = file, .used = json_object() };
	AUTO_JSON json_t *copy = json_deep_copy(document);
	size_t faults = lint->count[LINT_INVALID];
	struct err err;

	clean_files(&sheet, json_object_get(copy, "files"));
	clean_pins(&sheet, json_object_get(copy, "pins"));
	if (read_sheet(&sheet, copy, site, &err) < 0) {
		lint_add_error(lint, file, &err);
		return;
	}
	for (size_t i = 0; i < sheet.expansion.count; i++)
		read_bundle(&sheet, &sheet.expansion.bundle[i], site);
	if (lint->count[LINT_INVALID] == faults)
		check_pins(&sheet); /* an invalid bundle's URLs are not known */
}

static json_int_t rank_of(const struct lint_bundle *bundle)
{
	return json_integer_value(json_object_get(bundle->flat, "rank"));
}

static const char *version_of(const struct lint_bundle *bundle)
{
	return json_string_value(json_object_get(bundle->flat, "version"));
}

static void check_pair(struct lint *lint, const struct lint_bundle *left,
		       const struct lint_bundle *right)
{
	json_int_t rank = rank_of(left), other = rank_of(right);

	if (rank == other && name_version_compare(version_of(left), version_of(right)) == 0 &&
	    meet_bundles(left->flat, right->flat))
		lint_add(lint, LINT_OVERLAP, right->file, right->at,
			 "claims what %s: %s claims, with the same rank %lld and version %s",
			 left->file, left->at, (long long)rank, version_of(left));
	if (rank > other && meet_covers(left->flat, right->flat))
		lint_add(lint, LINT_UNREACHABLE, right->file, right->at,
			 "%s: %s serves all that it serves, with rank %lld over %lld",
			 left->file, left->at, (long long)rank, (long long)other);
}

void lint_between(struct lint *lint)
{
	for (size_t i = 0; i < lint->bundle_count; i++) {
		for (size_t j = i + 1; j < lint->bundle_count; j++) {
			check_pair(lint, &lint->bundles[i], &lint->bundles[j]);
			if (rank_of(&lint->bundles[j]) > rank_of(&lint->bundles[i]))
				check_pair(lint, &lint->bundles[j], &lint->bundles[i]);
		}
	}
}

size_t lint_faults(const struct lint *lint)
{
	return json_array_size(lint->findings) - lint->count[LINT_TO_PIN];
}
