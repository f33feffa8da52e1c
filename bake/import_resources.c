#include "bake/import.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/auto.h"
#include "cache/base/json.h"

/* InfiniBand/resources.json: Driver[] > Version[] (by NIC) > OS[] > Distro[] > Version[] (a file each). */

#define AT_MAX 160 /* bytes of "CX6, Windows 2019/10, All" */

/* One OS of one NIC, with the comment that its authors wrote. */
struct block {
	struct import *import;
	const char *nic; /* "CX6" */
	const char *os; /* "Windows" */
	const char *comment; /* or "" */
	const json_t *distros;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Does a word stand in the text, with no letter or digit before and behind it? */
static bool has_word(const char *text, const char *word, size_t length)
{
	for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
		bool begins = at == text || !isalnum((unsigned char)at[-1]);

		if (begins && !isalnum((unsigned char)at[length]))
			return true;
	}
	return false;
}

/* "2019/10" names two systems. */
static bool row_names(const char *names, const char *name, size_t length)
{
	while (*names) {
		size_t part = strcspn(names, "/");

		if (part == length && strncasecmp(names, name, length) == 0)
			return true;
		names += part + (names[part] == '/');
	}
	return false;
}

static bool block_names(const struct block *block, const char *name, size_t length)
{
	const json_t *distro;
	size_t i;

	json_array_foreach(block->distros, i, distro)
	{
		if (row_names(text_of(distro, "Name"), name, length))
			return true;
	}
	return false;
}

/* "valid for 2019, 2016, 2012R2, 2012, 10.": each should have a row. */
static void check_valid_for(const struct block *block, const char *at)
{
	const char *list = strstr(block->comment, "valid for ");

	if (!list)
		return;
	list += strlen("valid for ");
	while (isalnum((unsigned char)*list)) {
		size_t length =
			strspn(list, "0123456789"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

		if (!block_names(block, list, length))
			import_find(block->import, "contradiction", at,
				    "the comment says valid for %.*s, and no row is",
				    (int)length, list);
		list += length;
		list += strspn(list, ", ");
	}
}

/* "Win 2019 and Win 10 are not supported yet": then there should be no row. */
static void check_not_supported(const struct block *block, const char *names, const char *at)
{
	const char *end = strstr(block->comment, "not supported"), *start = block->comment;
	AUTO_FREE char *sentence = NULL;

	if (!end)
		return;
	for (const char *dot = start; (dot = strstr(dot, ". ")) != NULL && dot < end; dot++)
		start = dot + 2;
	sentence = must_printf("%.*s", (int)(end - start), start);
	while (*names) {
		AUTO_FREE char *name = must_printf("%.*s", (int)strcspn(names, "/"), names);

		if (has_word(sentence, name, strlen(name)))
			import_find(
				block->import, "contradiction", at,
				"the comment says that %s is not supported, and here is a row",
				name);
		names += strlen(name) + (names[strlen(name)] == '/');
	}
}

/* "Driver version is 2.22.": in the file's name, with dots or underscores. */
static void check_version(const struct block *block, const char *version, const char *at)
{
	const char *said = strstr(block->comment, "Driver version is ");
	size_t length;

	if (!said)
		return;
	said += strlen("Driver version is ");
	length = strspn(said, "0123456789.-");
	while (length > 0 && said[length - 1] == '.')
		length--;
	if (length > 0 &&
	    (strncmp(version, said, length) != 0 || isdigit((unsigned char)version[length])))
		import_find(block->import, "contradiction", at,
			    "the comment says version %.*s, and the file has %s", (int)length,
			    said, version);
}

/* "MLNX_VPI_WinOF-5_65_51000_All_win2016_x64.exe" says 2016. */
static void check_windows_name(const struct block *block, const char *names, const char *url,
			       const char *at)
{
	const char *said = strstr(url, "_win");
	size_t length;

	if (!said || strcmp(block->os, "Windows") != 0)
		return;
	said += strlen("_win");
	length = strspn(said, "0123456789R");
	if (!row_names(names, said, length))
		import_find(block->import, "contradiction", at,
			    "the file is for %.*s, and the row for %s", (int)length, said,
			    names);
}

/* "RHEL/CentOS" and "7.4" -> ["rhel:7.4", "centos:7.4"]; "2019/10" -> both Windows. NULL: not known. */
static json_t *systems_of(const struct block *block, const char *names, const char *number)
{
	static const struct {
		const char *name, *os;
	} known[] = {
		{ "ubuntu", "ubuntu" },
		{ "rhel", "rhel" },
		{ "centos", "centos" },
		{ "sles", "sles" },
	};
	AUTO_JSON json_t *os = json_array();

	while (*names) {
		size_t length = strcspn(names, "/");
		AUTO_FREE char *name = must_printf("%.*s", (int)length, names);
		AUTO_FREE char *entry = NULL;

		if (strcmp(block->os, "Windows") == 0 && isdigit((unsigned char)name[0]))
			entry = must_printf(
				strlen(name) >= 4 ? "windows-server:%s" : "windows:%s", name);
		for (size_t i = 0; i < COUNT_OF(known) && !entry; i++) {
			if (strcasecmp(name, known[i].name) == 0)
				entry = must_printf("%s:%s", known[i].os, number);
		}
		if (!entry)
			return NULL;
		json_array_append_new(os, json_string(entry));
		names += length + (names[length] == '/');
	}
	return json_array_size(os) ? json_incref(os) : NULL;
}

/* "CX3-Pro" -> "cx3-pro". */
static void lower(const char *text, char out[16])
{
	snprintf(out, 16, "%s", text);
	for (char *at = out; *at; at++)
		*at = (char)tolower((unsigned char)*at);
}

/* "ubuntu20.04", "rhel7.4", "windows-server2016". The caller frees. */
static char *id_of(const json_t *os)
{
	char *id = must_strdup(json_string_value(json_array_get(os, 0)));
	char *colon = strchr(id, ':');

	if (colon)
		memmove(colon, colon + 1, strlen(colon));
	return id;
}

static const char *optional(const json_t *object, const char *key)
{
	const char *text = text_of(object, key);

	return text[0] ? text : NULL;
}

static void read_file(const struct block *block, const char *names, const json_t *file)
{
	const char *url = text_of(file, "FwLink"), *number = text_of(file, "Num");
	AUTO_JSON json_t *os = systems_of(block, names, number);
	AUTO_FREE char *version = NULL, *id = NULL;
	char at[AT_MAX], nic[16];
	const char *family = import_family(url, &version);

	snprintf(at, sizeof(at), "%s, %s %s, %s", block->nic, block->os, names, number);
	lower(block->nic, nic);
	if (!family || !os || !import_knows_nic(nic)) {
		import_find(block->import, "unknown", at, "left out: %s is not known",
			    !os	     ? "the system"
			    : family ? "the NIC"
				     : "the file");
		return;
	}
	check_version(block, version, at);
	check_not_supported(block, names, at);
	check_windows_name(block, names, url, at);
	id = id_of(os);
	import_add(block->import,
		   &(struct import_row) { .at = at,
					  .family = family,
					  .version = version,
					  .id = id,
					  .os = os,
					  .arch = "x86_64",
					  .nic = nic,
					  .url = url,
					  .kernel = optional(file, "KernelDevelVer"),
					  .headers = optional(file, "KernelDevelRPM") });
}

static void read_block(const struct block *block)
{
	const json_t *distro, *file;
	char at[AT_MAX];
	size_t i, j;

	snprintf(at, sizeof(at), "%s, %s", block->nic, block->os);
	check_valid_for(block, at);
	json_array_foreach(block->distros, i, distro)
	{
		json_array_foreach(json_object_get(distro, "Version"), j, file)
			read_file(block, text_of(distro, "Name"), file);
	}
}

static void read_nic(struct import *import, const json_t *version)
{
	const json_t *os;
	size_t i;

	json_array_foreach(json_object_get(version, "OS"), i, os)
	{
		const struct block block = { .import = import,
					     .nic = text_of(version, "Type"),
					     .os = text_of(os, "Name"),
					     .comment = text_of(os, "Comment"),
					     .distros = json_object_get(os, "Distro") };

		read_block(&block);
	}
}

int import_resources(const json_t *document, struct import *import, struct err *err)
{
	const json_t *driver, *version;
	size_t i, j;

	json_array_foreach(json_object_get(document, "Driver"), i, driver)
	{
		json_array_foreach(json_object_get(driver, "Version"), j, version)
			read_nic(import, version);
	}
	if (json_object_size(import->manifests) == 0)
		return err_set(err, ERR_INVALID, "Driver: no driver in it that is known");
	return 0;
}
