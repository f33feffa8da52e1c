#include "bake/import.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/json.h"

/* versions.json: component > system > (architecture >) {"version","sha256","url"}; entries beside these three are
 * for one kind of machine. */

#define AT_MAX 160

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* "ubuntu22.04" -> ["ubuntu:22.04"]. NULL: no such name. */
static json_t *system_of(const char *key)
{
	size_t letters = strcspn(key, "0123456789");
	AUTO_FREE char *os = NULL;

	if (letters == 0 || key[letters] == '\0')
		return NULL;
	os = must_printf("%.*s:%s", (int)letters, key, key + letters);
	return json_pack("[s]", os);
}

/* The URL of an MLNX_OFED, which the list leaves to a script (components/install_mofed.sh there): AlmaLinux and
 * Rocky take that of RHEL, and others have none. The caller frees. */
static char *ofed_url(const char *version, const char *system)
{
	static const char *const el[] = { "almalinux", "rocky", "rhel", "centos" };
	AUTO_FREE char *distro = NULL;

	if (strncmp(system, "ubuntu", 6) == 0)
		distro = must_strdup(system);
	for (size_t i = 0; i < COUNT_OF(el) && !distro; i++) {
		if (strncmp(system, el[i], strlen(el[i])) == 0)
			distro = must_printf("rhel%s", system + strlen(el[i]));
	}
	if (!distro)
		return NULL;
	return must_printf("https://content.mellanox.com/ofed/MLNX_OFED-%s/"
			   "MLNX_OFED_LINUX-%s-%s-x86_64.tgz",
			   version, version, distro);
}

static void note_variants(struct import *import, const json_t *leaf, const char *at)
{
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)leaf, key, value)
	{
		if (json_is_object(value))
			import_find(import, "variant", at,
				    "left out: %s is for one kind of machine, which a bundle "
				    "cannot tell",
				    key);
	}
}

static void read_leaf(struct import *import, const char *component, const char *system,
		      const char *arch, const json_t *leaf)
{
	AUTO_JSON json_t *os = system_of(system);
	AUTO_FREE char *derived = NULL, *in_name = NULL, *id = NULL;
	const char *version = text_of(leaf, "version"), *url = text_of(leaf, "url"), *family;
	char at[AT_MAX];

	snprintf(at, sizeof(at), "%s, %s, %s", component, system, arch);
	note_variants(import, leaf, at);
	if (!version)
		return;
	if (!url && strcmp(component, "mofed") == 0) {
		url = derived = ofed_url(version, system);
		if (url)
			import_find(import, "no-url", at,
				    "no link: made as the list's own script does");
	}
	family = url ? import_family(url, &in_name) : NULL;
	if (!os || !family) {
		import_find(import, url ? "unknown" : "no-url", at, "left out: %s",
			    !os	  ? "the system is not known"
			    : url ? "the file is not known"
				  : "no link");
		return;
	}
	if (strcmp(in_name, version) != 0 && strncmp(in_name, version, strlen(version)) != 0)
		import_find(import, "contradiction", at,
			    "the list says version %s, and the file has %s", version, in_name);
	id = must_printf("%s%s%s", system, strcmp(arch, "x86_64") == 0 ? "" : "-",
			 strcmp(arch, "x86_64") == 0 ? "" : arch);
	import_add(import, &(struct import_row) { .at = at,
						  .family = family,
						  .version = version,
						  .id = id,
						  .os = os,
						  .arch = arch,
						  .nic = "cx5-and-later",
						  .url = url,
						  .sha256 = text_of(leaf, "sha256") });
}

/* Older lists have no architectures. */
static void read_system(struct import *import, const char *component, const char *system,
			const json_t *value)
{
	static const char *const arches[] = { "x86_64", "aarch64" };
	bool split = false;

	for (size_t i = 0; i < COUNT_OF(arches); i++) {
		const json_t *leaf = json_object_get(value, arches[i]);

		if (!leaf)
			continue;
		split = true;
		read_leaf(import, component, system, arches[i], leaf);
	}
	if (!split)
		read_leaf(import, component, system, "x86_64", value);
}

int import_versions(const json_t *document, struct import *import, struct err *err)
{
	static const char *const components[] = { "mofed", "doca" };
	bool any = false;

	for (size_t i = 0; i < COUNT_OF(components); i++) {
		const json_t *systems = json_object_get(document, components[i]), *value;
		const char *system;

		json_object_foreach((json_t *)(uintptr_t)systems, system, value)
		{
			any = true;
			read_system(import, components[i], system, value);
		}
	}
	if (!any)
		return err_set(
			err, ERR_INVALID,
			"neither a resources.json (\"Driver\") nor a versions.json (\"doca\", "
			"\"mofed\")");
	return 0;
}
