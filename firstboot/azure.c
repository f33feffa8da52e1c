#include "firstboot/azure.h"

#include <string.h>
#include <time.h>

#include "firstboot/status.h"

#define TIME_MAX 32

/* The words of the extension's documentation. */
static const struct {
	int code;
	const char *meaning;
} rows[] = {
	{ 0, "Operation successful" },
	{ 1, "Incorrect usage of extension" },
	{ 10, "Linux Integration Services for Hyper-V and Azure not available or installed" },
	{ 11, "Mellanox InfiniBand not found on this VM size" },
	{ 12, "Image offer not supported" },
	{ 13, "VM size not supported" },
	{ 14, "Operation failed" },
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Any other code is that of --reboot-exit. The extension knows no moment that is pending. */
static const char *meaning_of(const json_t *part, json_int_t code)
{
	if (strcmp(text_of(part, "state"), STATUS_PENDING) == 0)
		return "Operation in progress";
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (rows[i].code == code)
			return rows[i].meaning;
	}
	return "Operation successful, reboot needed";
}

static const char *time_text(const json_t *part, char out[TIME_MAX])
{
	time_t ended = json_integer_value(json_object_get(part, "ended"));
	struct tm parts;

	gmtime_r(&ended, &parts);
	strftime(out, TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts);
	return out;
}

char *azure_text(const json_t *document)
{
	const json_t *moments = json_object_get(document, "moments"), *part;
	char *all = must_strdup("");
	const char *moment;

	json_object_foreach((json_t *)(uintptr_t)moments, moment, part)
	{
		json_int_t code = json_integer_value(json_object_get(part, "code"));
		const char *text = text_of(part, "text"), *remedy = text_of(part, "remedy");
		AUTO_FREE char *before = all;
		char time[TIME_MAX];

		all = must_printf(
			"%s%s larder-firstboot %s: %s: Exit code %lld: %s (%s)%s%s%s%s\n",
			before, time_text(part, time), text_of(document, "agent"), moment,
			(long long)code, meaning_of(part, code), text_of(part, "reason"),
			*text ? ": " : "", text, *remedy ? " | " : "", remedy);
	}
	return all;
}
