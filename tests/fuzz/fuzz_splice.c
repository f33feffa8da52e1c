/* A JSON text, then a NUL and a path: what is changed is the value there, and nothing else. */
#include "tests/fuzz/fuzz.h"

#include "bake/splice.h"
#include "cache/base/json.h"

static json_t *parsed(const char *text)
{
	struct err err;
	json_t *value = NULL;

	return text && json_parse(text, strlen(text), &value, &err) == 0 ? value : NULL;
}

static void check_top(const char *text, const json_t *was)
{
	AUTO_JSON json_t *drop = json_object();
	AUTO_JSON json_t *one = json_pack("{s:i}", "k", 1);
	AUTO_JSON json_t *less = NULL;
	AUTO_JSON json_t *more = NULL;
	AUTO_FREE char *dropped = NULL, *added = NULL;
	const json_t *value;
	const char *key;
	size_t i = 0, gone = 0;

	json_object_foreach((json_t *)(uintptr_t)was, key, value)
	{
		if (i++ % 2 && ++gone)
			json_object_set_new(drop, key, json_true());
	}
	dropped = splice_drop(text, "", drop);
	less = parsed(dropped);
	FUZZ_CHECK(less && json_object_size(less) == json_object_size(was) - gone);
	added = splice_add(dropped, "", "new key / of ours", one);
	more = parsed(added);
	FUZZ_CHECK(json_object_get(less, "new key / of ours") ||
		   (more && json_object_size(more) == json_object_size(less) + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = fuzz_text(data, size), *set = NULL;
	const char *path = strlen(text) < size ? text + strlen(text) + 1 : "";
	AUTO_JSON json_t *was = parsed(text);
	AUTO_JSON json_t *now = NULL;

	if (!was)
		return 0;
	set = splice_set(text, path, "new \"value\"");
	now = parsed(set);
	FUZZ_CHECK(!set || now || !*path); /* a text alone is no document */
	if (json_is_object(was))
		check_top(text, was);
	return 0;
}
