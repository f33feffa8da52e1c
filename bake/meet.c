#include "bake/meet.h"

#include <string.h>

#include "cache/base/auto.h"
#include "cache/name.h"
#include "cache/nic.h"
#include "cache/select.h"

/* What may follow: with the tails from i and from j, is there a common text? Filled from the ends. */
static bool tails_meet(const char *left, const char *right, size_t i, size_t j,
		       bool table[NAME_GLOB_MAX_BYTES + 2][NAME_GLOB_MAX_BYTES + 2])
{
	if (left[i] == '*')
		return table[i + 1][j] || (right[j] && table[i][j + 1]);
	if (right[j] == '*')
		return table[i][j + 1] || (left[i] && table[i + 1][j]);
	if (!left[i] || !right[j])
		return left[i] == right[j];
	return left[i] == right[j] && table[i + 1][j + 1];
}

bool meet_globs(const char *left, const char *right)
{
	bool table[NAME_GLOB_MAX_BYTES + 2][NAME_GLOB_MAX_BYTES + 2] = { 0 };
	size_t left_length = strlen(left), right_length = strlen(right);

	if (left_length > NAME_GLOB_MAX_BYTES || right_length > NAME_GLOB_MAX_BYTES)
		return true; /* no glob of a manifest is that long */
	for (size_t i = left_length + 1; i-- > 0;) {
		for (size_t j = right_length + 1; j-- > 0;)
			table[i][j] = tails_meet(left, right, i, j, table);
	}
	return table[0][0];
}

/* "PCI\VEN_15B3&DEV_101C&CC_0207*" up to its second '&', with a star. */
static char *pnp_base(const char *glob)
{
	const char *end = strchr(glob, '&');

	if (end)
		end = strchr(end + 1, '&');
	return must_printf("%.*s*", end ? (int)(end - glob) : (int)strlen(glob), glob);
}

static bool pnp_meet(const char *left, const char *right)
{
	AUTO_FREE char *left_base = pnp_base(left), *right_base = pnp_base(right);
	const char *left_class = strstr(left, "&CC_"), *right_class = strstr(right, "&CC_");
	AUTO_FREE char *left_code = NULL, *right_code = NULL;

	if (!meet_globs(left_base, right_base))
		return false;
	if (!left_class || !right_class)
		return true;
	left_code = must_printf("%s*", left_class); /* CC_0207 and CC_020700 are one device's */
	right_code = must_printf("%s*", right_class);
	return meet_globs(left_code, right_code);
}

/* *out_known is false where the glob is none whose devices can be written out. */
static bool written_out_meets(const char *glob, const char *other, bool *out_known)
{
	struct nic_devices devices = { 0 };
	struct err ignored;
	bool meets = false;

	*out_known = nic_add(glob, &devices, &ignored) == 0;
	for (size_t i = 0; i < devices.count; i++)
		meets |= nic_glob_may_match(other, devices.pattern[i]);
	nic_devices_free(&devices);
	return meets;
}

bool meet_devices(const char *left, const char *right)
{
	bool known, meets;

	if (strchr(left, '\\') || strchr(right, '\\'))
		return pnp_meet(left, right);
	meets = written_out_meets(left, right, &known);
	if (known)
		return meets;
	meets = written_out_meets(right, left, &known);
	return known ? meets : meet_globs(left, right);
}

static bool is_true(const json_t *bundle, const char *key)
{
	return json_is_true(json_object_get(bundle, key));
}

static const char *item(const json_t *list, size_t i)
{
	return json_string_value(json_array_get(list, i));
}

/* Version 9 of an OS is 9.4, too. */
static bool versions_meet(const char *left, const char *right)
{
	size_t length = strlen(left) < strlen(right) ? strlen(left) : strlen(right);

	return strncmp(left, right, length) == 0 && strchr(".", left[length]) &&
	       strchr(".", right[length]);
}

/* like: one of the rows serves the relatives of its OS, whose names are not known here. */
static bool os_meet(const char *left, const char *right, bool like)
{
	const char *left_version = strchr(left, ':'), *right_version = strchr(right, ':');

	if (strcmp(select_family(left), select_family(right)) != 0)
		return false;
	if (!left_version || !right_version)
		return true;
	if (!like && (left_version - left != right_version - right ||
		      strncmp(left, right, (size_t)(left_version - left)) != 0))
		return false;
	return versions_meet(left_version + 1, right_version + 1);
}

static bool any_os_meets(const json_t *left, const json_t *right)
{
	const json_t *ours = json_object_get(left, "os"),
		     *theirs = json_object_get(right, "os");
	bool like = is_true(left, "like") || is_true(right, "like");

	for (size_t i = 0; i < json_array_size(ours); i++) {
		for (size_t j = 0; j < json_array_size(theirs); j++) {
			if (os_meet(item(ours, i), item(theirs, j), like))
				return true;
		}
	}
	return false;
}

/* An absent list leaves everything open. */
static bool lists_meet(const json_t *left, const json_t *right, const char *key,
		       bool (*meet)(const char *, const char *))
{
	const json_t *ours = json_object_get(left, key), *theirs = json_object_get(right, key);

	if (!ours || !theirs)
		return true;
	for (size_t i = 0; i < json_array_size(ours); i++) {
		for (size_t j = 0; j < json_array_size(theirs); j++) {
			if (meet(item(ours, i), item(theirs, j)))
				return true;
		}
	}
	return false;
}

bool meet_bundles(const json_t *left, const json_t *right)
{
	return any_os_meets(left, right) && lists_meet(left, right, "arch", meet_globs) &&
	       lists_meet(left, right, "kernels", meet_globs) &&
	       lists_meet(left, right, "sizes", meet_globs) &&
	       lists_meet(left, right, "devices", meet_devices);
}

/* A star in the text is matched by a star alone: then the glob matches all that the text, a glob, does. */
static bool one_covers(const json_t *globs, const char *text)
{
	for (size_t i = 0; i < json_array_size(globs); i++) {
		if (name_glob_match(item(globs, i), text))
			return true;
	}
	return false;
}

static bool list_covers(const json_t *upper, const json_t *lower, const char *key)
{
	const json_t *ours = json_object_get(upper, key), *theirs = json_object_get(lower, key);

	if (!ours || one_covers(ours, "*"))
		return true;
	for (size_t i = 0; i < json_array_size(theirs); i++) {
		if (!one_covers(ours, item(theirs, i)))
			return false;
	}
	return theirs != NULL;
}

/* A machine of version 9.4 uses the table of 9.4, if there is one: 9 does not cover it. */
static bool os_covers(const json_t *upper, const json_t *lower)
{
	const json_t *ours = json_object_get(upper, "os"),
		     *theirs = json_object_get(lower, "os");

	for (size_t i = 0; i < json_array_size(theirs); i++) {
		bool windows = strcmp(select_family(item(theirs, i)), "windows") == 0;
		bool found = false;

		for (size_t j = 0; j < json_array_size(ours); j++)
			found |= strcmp(item(ours, j), item(theirs, i)) == 0 ||
				 (strcmp(item(ours, j), "any") == 0 && !windows);
		if (!found)
			return false;
	}
	return true;
}

/* Whatever else may make upper lose where lower would not. */
static bool conditions_cover(const json_t *upper, const json_t *lower)
{
	const json_t *layer = json_object_get(json_object_get(upper, "expect"), "link_layer");
	const json_t *other = json_object_get(json_object_get(lower, "expect"), "link_layer");
	const json_t *boot = json_object_get(upper, "secure_boot");

	if ((layer && !json_equal(layer, other)) || json_object_get(upper, "requires"))
		return false;
	if (boot && strcmp(json_string_value(boot), "any") != 0 &&
	    !json_equal(boot, json_object_get(lower, "secure_boot")))
		return false;
	return (is_true(upper, "early") || !is_true(lower, "early")) &&
	       (is_true(upper, "like") || !is_true(lower, "like"));
}

bool meet_covers(const json_t *upper, const json_t *lower)
{
	return os_covers(upper, lower) && conditions_cover(upper, lower) &&
	       list_covers(upper, lower, "arch") && list_covers(upper, lower, "kernels") &&
	       list_covers(upper, lower, "sizes") && list_covers(upper, lower, "devices");
}
