#include "bake/coverage_nic.h"

#include <ctype.h>
#include <string.h>

#include "cache/name.h"
#include "cache/nic.h"

#define PATTERN_MAX 256
#define PCI_BYTES 53 /* of "pci:v........d........sv........sd........bc..sc..i.." */
#define PNP_ID_BYTES 21 /* of "PCI\VEN_15B3&DEV_101C" */
#define DIGITS "0123456789ABCDEF" /* of all forms that leave digits open */
#define UNKNOWN_DIGIT 'F' /* no subsystem has the id FFFFFFFF */

/* InfiniBand; Ethernet; other network, which a virtual function of ConnectX-3 shows. */
static const char *const classes[] = { "0207", "0200", "0280" };

void coverage_globs_free(struct coverage_globs *globs)
{
	free(globs->item);
	*globs = (struct coverage_globs) { 0 };
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void add_globs(struct coverage_globs *globs, const struct json_strings *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		globs->item[globs->count++] = devices->item[i];
}

struct coverage_globs coverage_globs_of(const struct inventory *inventory)
{
	struct coverage_globs globs = { 0 };
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < inventory->table_count; i++) {
		for (size_t j = 0; j < inventory->tables[i].count; j++)
			count += inventory->tables[i].row[j].devices.count;
	}
	globs.item = must_calloc(count, sizeof(*globs.item));
	for (size_t i = 0; i < inventory->table_count; i++) {
		for (size_t j = 0; j < inventory->tables[i].count; j++)
			add_globs(&globs, &inventory->tables[i].row[j].devices);
	}
	if (globs.count)
		qsort(globs.item, globs.count, sizeof(*globs.item), by_text);
	for (size_t i = 0; i < globs.count; i++) {
		if (kept == 0 || strcmp(globs.item[kept - 1], globs.item[i]) != 0)
			globs.item[kept++] = globs.item[i];
	}
	globs.count = kept;
	return globs;
}

void coverage_nic_free(struct coverage_nic *nic)
{
	for (size_t i = 0; i < nic->id_count; i++)
		free(nic->id[i].name);
	for (size_t i = 0; i < nic->variant_count; i++) {
		free(nic->variant[i].word);
		free(nic->variant[i].modalias);
	}
	free(nic->id);
	free(nic->variant);
	free(nic->name);
	*nic = (struct coverage_nic) { 0 };
}

/* --- ids ------------------------------------------------------------------------------------------- */

static bool is_windows(const char *pattern)
{
	return strncmp(pattern, "PCI\\", 4) == 0 || strncmp(pattern, "VMBUS\\", 6) == 0;
}

/* A pattern as --nic takes it. Of the forms of a PnP id their common beginning. */
static char *word_of(const char *pattern)
{
	char *word = must_strdup(pattern), *out = word;

	for (const char *at = pattern; *at; at++) {
		if (*at != '?')
			*out++ = *at;
		else if (out == word || out[-1] != '*')
			*out++ = '*';
	}
	*out = '\0';
	if (strncmp(word, "PCI\\", 4) == 0 && strlen(word) > PNP_ID_BYTES)
		word[PNP_ID_BYTES] = '\0';
	return word;
}

/* Four digits of lower case each. */
static char *pci_name(const char *vendor, const char *device)
{
	char *name = must_printf("%.4s:%.4s", vendor, device);

	for (char *at = name; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return name;
}

char *coverage_nic_id(const char *text)
{
	if (strncmp(text, "pci:v0000", 9) == 0 && strlen(text) >= 22 &&
	    strncmp(text + 13, "d0000", 5) == 0 && !memchr(text, '?', 22))
		return pci_name(text + 9, text + 18);
	if (strncmp(text, "PCI\\VEN_", 8) == 0 && strlen(text) >= PNP_ID_BYTES)
		return pci_name(text + 8, text + 17);
	return word_of(text);
}

static size_t find_id(struct coverage_nic *nic, const char *pattern)
{
	AUTO_FREE char *name = coverage_nic_id(pattern);
	size_t i = 0;

	while (i < nic->id_count && strcmp(nic->id[i].name, name) != 0)
		i++;
	if (i == nic->id_count) {
		nic->id = must_realloc(nic->id, nic->id_count + 1, sizeof(*nic->id));
		nic->id[nic->id_count++] = (struct coverage_id) { .name = take_ptr(&name) };
	}
	nic->id[i].there[is_windows(pattern)] = true;
	return i;
}

/* --- variants -------------------------------------------------------------------------------------- */

/* What is known of a pattern once the glob matches it: as nic_glob_may_match, and every digit that the glob names is
 * taken over. */
static bool narrow(const char *glob, const char *pattern, char out[PATTERN_MAX])
{
	size_t star = SIZE_MAX, resume = 0, g = 0, p = 0;

	while (pattern[p]) {
		bool fits = glob[g] == pattern[p] ||
			    (pattern[p] == '?' && glob[g] && strchr(DIGITS, glob[g]));

		if (glob[g] == '*') {
			star = g++;
			resume = p;
		} else if (fits) {
			out[p++] = glob[g++];
		} else if (star != SIZE_MAX) {
			out[resume] = pattern[resume];
			g = star + 1;
			p = ++resume;
		} else {
			return false;
		}
	}
	while (glob[g] == '*')
		g++;
	out[p] = '\0';
	return glob[g] == '\0';
}

/* Where the four digits of a class are; false: there are none. */
static bool find_class(char *pattern, char *digit[4])
{
	char *cc = is_windows(pattern) ? strstr(pattern, "CC_") : NULL;
	bool pci = strncmp(pattern, "pci:", 4) == 0 && strlen(pattern) == PCI_BYTES;

	if (!pci && (!cc || strlen(cc) < 7))
		return false;
	for (int i = 0; i < 4; i++)
		digit[i] = pci ? pattern + (i < 2 ? 44 : 46) + i : cc + 3 + i;
	return true;
}

/* Puts a class where it is open. False: the pattern has another. */
static bool put_class(char *pattern, const char *class)
{
	char *digit[4];

	if (!find_class(pattern, digit))
		return true;
	for (int i = 0; i < 4; i++) {
		if (*digit[i] != '?' && *digit[i] != class[i])
			return false;
		*digit[i] = class[i];
	}
	return true;
}

static bool class_is_open(char *pattern)
{
	char *digit[4];
	bool open = false;

	if (!find_class(pattern, digit))
		return false;
	for (int i = 0; i < 4; i++)
		open = open || *digit[i] == '?';
	return open;
}

/* A device of the pattern: a programming interface is mostly 00. */
static char *device_of(const char *pattern)
{
	char *device = must_strdup(pattern);
	size_t length = strlen(device);
	bool pci = strncmp(device, "pci:", 4) == 0 && length == PCI_BYTES;
	char *cc = is_windows(device) ? strstr(device, "CC_") : NULL;

	for (size_t i = 0; i < length; i++) {
		bool interface = pci ? i > 50 : cc && device + i > cc;

		if (device[i] == '?')
			device[i] = interface ? '0' : UNKNOWN_DIGIT;
	}
	return device;
}

static bool matches_any(const struct coverage_globs *globs, const char *modalias)
{
	for (size_t i = 0; i < globs->count; i++) {
		if (name_glob_match(globs->item[i], modalias))
			return true;
	}
	return false;
}

static void add_variant(struct coverage_nic *nic, const char *pattern, bool general,
			const struct coverage_globs *globs)
{
	struct coverage_variant variant = { .modalias = device_of(pattern),
					    .windows = is_windows(pattern),
					    .general = general };
	struct coverage_id *id;

	for (size_t i = 0; i < nic->variant_count; i++) {
		if (strcmp(nic->variant[i].modalias, variant.modalias) == 0) {
			free(variant.modalias);
			return;
		}
	}
	if ((nic->variant_count & (nic->variant_count - 1)) == 0)
		nic->variant = must_realloc(nic->variant,
					    nic->variant_count ? nic->variant_count * 2 : 1,
					    sizeof(*nic->variant));
	variant.word = word_of(pattern);
	variant.claimed = matches_any(globs, variant.modalias);
	variant.id = find_id(nic, pattern);
	id = &nic->id[variant.id];
	id->claimed[variant.windows] |= general && variant.claimed;
	nic->variant[nic->variant_count++] = variant;
}

/* In each class, where it is open. */
static void add_variants(struct coverage_nic *nic, const char *pattern, bool general,
			 const struct coverage_globs *globs)
{
	char copy[PATTERN_MAX];
	bool open, any = false;

	snprintf(copy, sizeof(copy), "%s", pattern);
	open = class_is_open(copy);
	for (size_t i = 0; open && i < COUNT_OF(classes); i++) {
		snprintf(copy, sizeof(copy), "%s", pattern);
		if (put_class(copy, classes[i])) {
			add_variant(nic, copy, general, globs);
			any = true;
		}
	}
	if (!any)
		add_variant(nic, pattern, general, globs);
}

/* All ids in general come before what globs say of their subsystems: of two that are alike the general one stays. */
static int fill(const struct nic_devices *devices, const struct coverage_globs *globs,
		struct coverage_nic *nic, struct err *err)
{
	char narrowed[PATTERN_MAX];

	for (size_t i = 0; i < devices->count; i++)
		add_variants(nic, devices->pattern[i], true, globs);
	for (size_t i = 0; i < devices->count; i++) {
		for (size_t j = 0; j < globs->count; j++) {
			if (narrow(globs->item[j], devices->pattern[i], narrowed))
				add_variants(nic, narrowed, false, globs);
			if (nic->variant_count > COVERAGE_MAX_VARIANTS)
				return err_set(err, ERR_INVALID,
					       "--nic %s: the bundles tell more than %d "
					       "devices of it apart",
					       nic->name, COVERAGE_MAX_VARIANTS);
		}
	}
	return 0;
}

int coverage_nic_make(const char *name, const struct json_strings *words,
		      const struct coverage_globs *globs, struct coverage_nic *out,
		      struct err *err)
{
	AUTO(nic_devices_free) struct nic_devices devices = { 0 };
	AUTO_COVERAGE_NIC struct coverage_nic nic = { .name = must_strdup(name) };

	for (size_t i = 0; i < words->count; i++) {
		if (nic_add(words->item[i], &devices, err) < 0)
			return -1;
	}
	if (fill(&devices, globs, &nic, err) < 0)
		return -1;
	*out = nic;
	nic = (struct coverage_nic) { 0 };
	return 0;
}

bool coverage_nic_is_there(const struct coverage_nic *nic, bool windows)
{
	for (size_t i = 0; i < nic->id_count; i++) {
		if (nic->id[i].there[windows])
			return true;
	}
	return false;
}

bool coverage_nic_is_whole(const struct coverage_nic *nic, bool windows)
{
	for (size_t i = 0; i < nic->id_count; i++) {
		if (nic->id[i].there[windows] && !nic->id[i].claimed[windows])
			return false;
	}
	return coverage_nic_is_there(nic, windows);
}

void coverage_nic_device(const struct coverage_variant *variant, struct facts_device *out)
{
	size_t bus = strcspn(variant->modalias, ":\\");

	*out = (struct facts_device) { 0 };
	for (size_t i = 0; i < bus && i + 1 < sizeof(out->bus); i++)
		out->bus[i] = (char)tolower((unsigned char)variant->modalias[i]);
	snprintf(out->modalias, sizeof(out->modalias), "%s", variant->modalias);
}
