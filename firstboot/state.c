#include "firstboot/state.h"

#include <string.h>

void state_need_digest(struct json_reader *reader, const char *key, struct digest *out)
{
	const char *text = json_need_string(reader, key, DIGEST_TEXT_MAX);
	struct err why = { 0 };

	if (text && digest_parse(text, out, &why) < 0)
		json_bad(reader, key, "%s", why.text);
}

size_t state_need_word(struct json_reader *reader, const char *key, const char *const *words,
		       size_t count)
{
	const char *word = json_need_string(reader, key, 64);

	for (size_t i = 0; word && i < count; i++) {
		if (strcmp(word, words[i]) == 0)
			return i;
	}
	json_bad(reader, key, "not known");
	return 0;
}

void state_need_format(struct json_reader *reader, const char *format)
{
	state_need_word(reader, "format", &format, 1);
}
