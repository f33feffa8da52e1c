#include "cache/nic.h"

#include <ctype.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/json.h"
#include "cache/name.h"

#define UPPER "0123456789ABCDEF"
#define LOWER "0123456789abcdef"
#define PATTERN_MAX 160 /* bytes; the longest form, usb's, has 60 */
#define MAX_FIELDS 10
#define PCI_ID_BYTES 9 /* of "15b3:101c" */

/* Sources: the tables of the drivers mlx4_core, mlx5_core, mana, efa and ena in Linux, rdma-core, pci.ids.
 * 15b3:101e is the virtual function of every generation from ConnectX-6 Dx to -9, and of BlueField-2
 * and -3; 15b3:1004 that of ConnectX-3 and -3 Pro. */
static const struct {
	const char *name;
	const char *ids; /* words that nic_add takes */
} nics[] = {
	{ "bf1", "15b3:a2d2 15b3:a2d3" },
	{ "bf2", "15b3:a2d6 15b3:101e" },
	{ "bf3", "15b3:a2dc 15b3:101e" },
	{ "bf4", "15b3:a2df" },
	{ "cib", "15b3:1011 15b3:1012" },
	{ "cx2",
	  "15b3:1002 15b3:6340 15b3:634a 15b3:6354 15b3:6732 15b3:673c 15b3:6368 15b3:6750 "
	  "15b3:6372 15b3:675a 15b3:6764 15b3:6746 15b3:676e" },
	{ "cx3", "15b3:1003 15b3:1004" },
	{ "cx3pro", "15b3:1007 15b3:1004" },
	{ "cx4", "15b3:1013 15b3:1014" },
	{ "cx4lx", "15b3:1015 15b3:1016" },
	{ "cx5", "15b3:1017 15b3:1018 15b3:1019 15b3:101a" },
	{ "cx6", "15b3:101b 15b3:101c" },
	{ "cx6dx", "15b3:101d 15b3:101e" },
	{ "cx6lx", "15b3:101f 15b3:101e" },
	{ "cx7", "15b3:1021 15b3:101e" },
	{ "cx8", "15b3:1023 15b3:101e" },
	{ "cx9", "15b3:1025 15b3:101e" },
	{ "cx10", "15b3:1027 15b3:2101" },
	{ "efa", "1d0f:efa0 1d0f:efa1 1d0f:efa2 1d0f:efa3 1d0f:efa4" },
	{ "ena", "1d0f:0ec2 1d0f:1ec2 1d0f:ec20 1d0f:ec21 1d0f:0051" },
	{ "mana", "1414:00b9 1414:00ba" },
	/* Network Direct and the synthetic NIC of Hyper-V have no PCI device. */
	{ "nd", "vmbus:3daf2e8ca732094bab99bd1f1c86b501 "
		"VMBUS\\{8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501}" },
	{ "netvsc", "vmbus:635161f83edfc546913ff2d2f965ed0e "
		    "VMBUS\\{f8615163-df3e-46c5-913f-f2d2f965ed0e}" },
};

/* How the kernel spells a modalias: file2alias.c of Linux. */
static const struct form {
	const char *bus, *digits;
	struct {
		const char *label;
		size_t digits;
	} field[MAX_FIELDS]; /* ends with a zero row */
} forms[] = {
	{ "pci:",
	  UPPER,
	  { { "v", 8 },
	    { "d", 8 },
	    { "sv", 8 },
	    { "sd", 8 },
	    { "bc", 2 },
	    { "sc", 2 },
	    { "i", 2 } } },
	{ "virtio:", UPPER, { { "d", 8 }, { "v", 8 } } },
	{ "usb:",
	  UPPER,
	  { { "v", 4 },
	    { "p", 4 },
	    { "d", 4 },
	    { "dc", 2 },
	    { "dsc", 2 },
	    { "dp", 2 },
	    { "ic", 2 },
	    { "isc", 2 },
	    { "ip", 2 },
	    { "in", 2 } } },
	{ "vmbus:", LOWER, { { "", 32 } } },
};

const char *nic_name(size_t i)
{
	return i < COUNT_OF(nics) ? nics[i].name : NULL;
}

void nic_devices_free(struct nic_devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		free(devices->pattern[i]);
	free(devices->pattern);
	*devices = (struct nic_devices) { 0 };
}

static void add(struct nic_devices *devices, char *pattern)
{
	devices->pattern =
		must_realloc(devices->pattern, devices->count + 1, sizeof(*devices->pattern));
	devices->pattern[devices->count++] = pattern;
}

/* One field: its label, then all of its digits, or a star. Beyond the end of text nothing is known. */
static bool expand_field(const struct form *form, size_t i, const char **text, char *out)
{
	const char *label = form->field[i].label;
	size_t digits = form->field[i].digits;
	char *value = stpcpy(out, label);
	bool open = **text == '\0' || strcmp(*text, "*") == 0;

	if (!open && strncmp(*text, label, strlen(label)) != 0)
		return false;
	*text += open ? strlen(*text) : strlen(label);
	if (open || **text == '*') {
		*text += !open;
		memset(value, '?', digits);
	} else if (strspn(*text, form->digits) == digits) {
		memcpy(value, *text, digits);
		*text += digits;
	} else {
		return false;
	}
	value[digits] = '\0';
	return true;
}

/* "pci:v000015B3d0000101Csv*sd*bc02sc*i*" with a '?' for each digit that it leaves open. */
static bool expand(const struct form *form, const char *text, char out[PATTERN_MAX])
{
	char *end = stpcpy(out, form->bus);

	if (strncmp(text, form->bus, strlen(form->bus)) != 0)
		return false;
	text += strlen(form->bus);
	for (size_t i = 0; i < MAX_FIELDS && form->field[i].label; i++) {
		if (!expand_field(form, i, &text, end))
			return false;
		end += strlen(end);
	}
	return *text == '\0' || strcmp(text, "*") == 0;
}

static bool add_modalias(const char *word, struct nic_devices *devices)
{
	char pattern[PATTERN_MAX];

	if (!name_is_device_glob(word))
		return false;
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
		if (expand(&forms[i], word, pattern)) {
			add(devices, must_strdup(pattern));
			return true;
		}
	}
	return false;
}

#define PNP_ID_BYTES 21 /* of "PCI\VEN_15B3&DEV_101C" */

/* The ids that Windows gives one PCI device (Identifiers for PCI Devices, Windows driver docs). */
static void add_pnp_forms(struct nic_devices *devices, const char *id)
{
	static const char *const ends[] = {
		"",	   "&SUBSYS_????????", "&SUBSYS_????????&REV_??",
		"&REV_??", "&CC_????",	       "&CC_??????"
	};

	for (size_t i = 0; i < COUNT_OF(ends); i++)
		add(devices, must_printf("%.*s%s", PNP_ID_BYTES, id, ends[i]));
}

/* A PnP id; a star is understood at its end alone. */
static bool add_pnp(const char *word, struct nic_devices *devices)
{
	static const char shape[] = "PCI\\VEN_....&DEV_....";
	size_t length = strlen(word);
	bool pci = strncmp(word, "PCI\\", 4) == 0;

	if (!name_is_device_glob(word) || (!pci && strncmp(word, "VMBUS\\", 6) != 0))
		return false;
	length -= word[length - 1] == '*';
	if (memchr(word, '*', length) || (pci && length < PNP_ID_BYTES))
		return false;
	for (size_t i = 0; pci && i < PNP_ID_BYTES; i++) {
		if (shape[i] == '.' ? !strchr(UPPER, word[i]) : word[i] != shape[i])
			return false;
	}
	if (length == PNP_ID_BYTES && pci)
		add_pnp_forms(devices, word);
	else
		add(devices, must_printf("%.*s", (int)length, word));
	return true;
}

static bool add_pci_id(const char *word, struct nic_devices *devices)
{
	AUTO_FREE char *modalias = NULL, *pnp = NULL;
	char id[PCI_ID_BYTES + 1];

	if (strlen(word) != PCI_ID_BYTES || word[4] != ':')
		return false;
	for (size_t i = 0; i <= PCI_ID_BYTES; i++) {
		id[i] = (char)toupper((unsigned char)word[i]);
		if (i != 4 && i != PCI_ID_BYTES && !strchr(UPPER, id[i]))
			return false;
	}
	modalias = must_printf("pci:v0000%.4sd0000%s*", id, id + 5);
	pnp = must_printf("PCI\\VEN_%.4s&DEV_%s", id, id + 5);
	return add_modalias(modalias, devices) && add_pnp(pnp, devices);
}

static bool add_id(const char *word, struct nic_devices *devices)
{
	return add_pci_id(word, devices) || add_modalias(word, devices) ||
	       add_pnp(word, devices);
}

static bool add_name(const char *word, struct nic_devices *devices)
{
	AUTO_FREE char *ids = NULL;
	char *rest;

	for (size_t i = 0; i < COUNT_OF(nics) && !ids; i++) {
		if (strcmp(nics[i].name, word) == 0)
			ids = must_strdup(nics[i].ids);
	}
	rest = ids;
	for (char *id = strsep(&rest, " "); id; id = strsep(&rest, " ")) {
		if (!add_id(id, devices))
			abort(); /* the table is wrong */
	}
	return ids != NULL;
}

static int unknown(const char *word, struct err *err)
{
	char known[COUNT_OF(nics) * 8] = "";
	char *end = known;

	for (size_t i = 0; i < COUNT_OF(nics); i++)
		end += snprintf(end, (size_t)(known + sizeof(known) - end), "%s%s",
				i ? ", " : "", nics[i].name);
	return err_set(err, ERR_USAGE,
		       "--nic \"%s\": expected one of %s, a PCI id such as 15b3:101c, or a "
		       "modalias such as pci:v000015B3d0000101Csv*sd*bc02sc*i*",
		       word, known);
}

int nic_add(const char *word, struct nic_devices *devices, struct err *err)
{
	if (!add_name(word, devices) && !add_id(word, devices))
		return unknown(word, err);
	return 0;
}

static bool may_be(char pattern, char literal)
{
	return pattern == literal || (pattern == '?' && isxdigit((unsigned char)literal));
}

bool nic_glob_may_match(const char *glob, const char *pattern)
{
	const char *star = NULL, *resume = NULL;

	while (*pattern) {
		if (*glob == '*') {
			star = glob++;
			resume = pattern;
		} else if (*glob && may_be(*pattern, *glob)) {
			glob++;
			pattern++;
		} else if (star) {
			glob = star + 1;
			pattern = ++resume;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}
