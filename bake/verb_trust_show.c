#include <fcntl.h>
#include <string.h>

#include "bake/verbs.h"
#include "cache/base/fs.h"
#include "cache/base/json.h"
#include "cache/trust.h"

struct trust_show_args {
	const char *from;
	bool json;
};

static const struct cli_option options[] = {
	{ "from", "OLD", "the version before: does it prove this one?",
	  offsetof(struct trust_show_args, from), CLI_TEXT },
	{ "json", NULL, "print one JSON document", offsetof(struct trust_show_args, json),
	  CLI_TEXT },
	{ 0 },
};

/* A version, who signed it, and what the version before says of it. */
struct shown {
	const char *path;
	struct trust trust, old;
	struct envelope envelope;
	enum trust_mark marks[TRUST_MAX_KEYS];
	uint64_t own, by_old; /* different keys that signed well */
	bool has_old, proven;
	char text[ERR_TEXT_MAX]; /* why it is not proven */
};

static void shown_free(struct shown *shown)
{
	envelope_free(&shown->envelope);
}

static const char *mark_name(enum trust_mark mark)
{
	switch (mark) {
	case TRUST_UNSIGNED:
		return "not signed";
	case TRUST_SIGNED:
		return "signed";
	case TRUST_DAMAGED:
		return "signature does not fit";
	}
	abort();
}

static void add_missing(char *text, size_t size, const struct trust *trust, uint64_t good)
{
	size_t used = strlen(text);
	unsigned long long more = trust->threshold - good;

	if (good < trust->threshold)
		snprintf(text + used, size - used,
			 "%sneeds %llu more signature%s by %s of version %llu",
			 used ? "; " : "", more, more == 1 ? "" : "s",
			 more == 1 ? "a key" : "keys", (unsigned long long)trust->version);
}

static void judge(struct shown *shown, const char *data, size_t size)
{
	enum trust_mark marks[TRUST_MAX_KEYS];
	struct trust next;
	struct err err = { 0 };

	shown->by_old = trust_count(&shown->old, &shown->envelope, marks);
	shown->proven = trust_next(&shown->old, data, size, &next, &err) == 0;
	if (shown->proven)
		return;
	if (shown->trust.version == shown->old.version + 1) {
		add_missing(shown->text, sizeof(shown->text), &shown->old, shown->by_old);
		add_missing(shown->text, sizeof(shown->text), &shown->trust, shown->own);
	} else {
		memcpy(shown->text, err.text, sizeof(shown->text));
	}
}

static int load(const char *path, const char *from, struct shown *shown, struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	shown->path = path;
	if (fs_read_at(AT_FDCWD, path, TRUST_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	if (trust_parse(data, size, &shown->trust, err) < 0 ||
	    envelope_parse(data, size, ENVELOPE_TRUST, &shown->envelope, err) < 0)
		return err_wrap(err, "%s", path);
	shown->own = trust_count(&shown->trust, &shown->envelope, shown->marks);
	shown->has_old = from;
	if (from && trust_load(AT_FDCWD, from, &shown->old, err) < 0)
		return -1;
	if (from)
		judge(shown, data, size);
	return 0;
}

static void print_text(const struct shown *shown)
{
	const struct trust *trust = &shown->trust;
	char id[DIGEST_HEX_MAX];

	printf("%s: version %llu, threshold %llu of %zu key%s, signed by %llu of them\n",
	       shown->path, (unsigned long long)trust->version,
	       (unsigned long long)trust->threshold, trust->count, trust->count == 1 ? "" : "s",
	       (unsigned long long)shown->own);
	for (size_t i = 0; i < trust->count; i++)
		printf("key   %s  %-10s  %s\n", digest_hex(&trust->key[i].id, id),
		       key_algorithm_name(&trust->key[i]), mark_name(shown->marks[i]));
	for (size_t i = 0; i < shown->envelope.count; i++) {
		const struct digest *by = &shown->envelope.signature[i].key_id;

		if (trust_names(trust, by))
			continue;
		printf("other %s  ", digest_hex(by, id));
		if (trust_names(&shown->old, by))
			printf("of version %llu\n", (unsigned long long)shown->old.version);
		else
			printf("not a key of this version\n");
	}
	if (shown->has_old && shown->proven)
		printf("proven by version %llu\n", (unsigned long long)shown->old.version);
	else if (shown->has_old)
		printf("not proven by version %llu: %s\n",
		       (unsigned long long)shown->old.version, shown->text);
}

static json_t *keys_json(const struct shown *shown)
{
	json_t *keys = json_array();
	char id[DIGEST_HEX_MAX];

	for (size_t i = 0; i < shown->trust.count; i++)
		json_array_append_new(keys, json_pack("{s:s, s:s, s:s}", "keyid",
						      digest_hex(&shown->trust.key[i].id, id),
						      "algorithm",
						      key_algorithm_name(&shown->trust.key[i]),
						      "state", mark_name(shown->marks[i])));
	return keys;
}

static json_t *others_json(const struct shown *shown)
{
	json_t *others = json_array();
	char id[DIGEST_HEX_MAX];

	for (size_t i = 0; i < shown->envelope.count; i++) {
		const struct digest *by = &shown->envelope.signature[i].key_id;

		if (!trust_names(&shown->trust, by))
			json_array_append_new(others, json_string(digest_hex(by, id)));
	}
	return others;
}

static void print_json(const struct shown *shown)
{
	AUTO_JSON json_t *root =
		json_pack("{s:s, s:I, s:I, s:o, s:o}", "trust", shown->path, "version",
			  (json_int_t)shown->trust.version, "threshold",
			  (json_int_t)shown->trust.threshold, "keys", keys_json(shown),
			  "other_signatures", others_json(shown));
	AUTO_FREE char *text = NULL;
	size_t size;

	if (shown->has_old)
		json_object_set_new(root, "from",
				    json_pack("{s:I, s:b, s:s}", "version",
					      (json_int_t)shown->old.version, "proven",
					      shown->proven, "missing", shown->text));
	text = json_pretty(root, &size);
	fputs(text, stdout);
}

static int trust_show(const void *arguments, const struct cli_operands *operands,
		      struct err *err)
{
	const struct trust_show_args *args = arguments;
	AUTO(shown_free) struct shown shown = { 0 };

	if (load(operands->item[0], args->from, &shown, err) < 0)
		return -1;
	if (args->json)
		print_json(&shown);
	else
		print_text(&shown);
	return shown.has_old && !shown.proven ? CLI_NO : CLI_DONE;
}

const struct cli_verb verb_trust_show = {
	.name = "trust show",
	.operands = "TRUST",
	.least = 1,
	.most = 1,
	.summary = "show a version of a trust root: its keys, and who signed it",
	.details = "With --from the answer is 0 where OLD proves it, else 3, and what is "
		   "missing is said.",
	.options = options,
	.args_size = sizeof(struct trust_show_args),
	.run = trust_show,
};
