#include "bake/import.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bake/field.h"
#include "bake/flat.h"
#include "bake/lint_rules.h"
#include "cache/name.h"

/* Class 07 of a network device is InfiniBand; a ConnectX-3's virtual function shows class 80. Device ids are
 * those of the drivers mlx4_core and mlx5_core in Linux. */
static const struct nic {
	const char *name;
	const char *ids; /* "1018/07" */
} nics[] = {
	{ "cx3-pro", "1003/07 1004/07 1004/80 1007/07" },
	{ "cx5", "1017/07 1018/07 1019/07 101A/07" },
	{ "cx6", "101B/07 101C/07" },
	{ "cx5-and-later", "1017/07 1018/07 1019/07 101A/07 101B/07 101C/07 101E/07 1021/07 "
			   "1023/07 1025/07 A2D6/07 A2DC/07 A2DF/07" },
};

#define OFED_PAGE                                                                              \
	"https://network.nvidia.com/related-docs/prod_software/NVIDIA_MLNX_OFED_EULA.pdf"

static const struct family {
	const char *name, *prefix; /* of file names; NULL: not told by the name */
	const char *licence, *page, *redistribute;
	int rank;
	const char *module, *package; /* NULL: for Windows */
	const char *deb_repo, *rpm_repo; /* within the file */
	const char *excludes; /* names, a blank between them */
} families[] = {
	{ "mlnx-ofed-lts", "MLNX_OFED_LINUX-4.", "LicenseRef-NVIDIA-MLNX-OFED", OFED_PAGE,
	  "with-hardware", 50, "mlx4", "mlnx-ofed-guest", "MLNX_OFED_LINUX-*/DEBS",
	  "MLNX_OFED_LINUX-*/RPMS", "doca-ofed mlnx-ofed" },
	{ "mlnx-ofed", "MLNX_OFED_LINUX-", "LicenseRef-NVIDIA-MLNX-OFED", OFED_PAGE,
	  "with-hardware", 50, "mlx5", "mlnx-ofed-guest", "MLNX_OFED_LINUX-*/DEBS",
	  "MLNX_OFED_LINUX-*/RPMS", "doca-ofed mlnx-ofed-lts" },
	{ "doca-ofed", "doca-host", "LicenseRef-NVIDIA-DOCA",
	  "https://docs.nvidia.com/doca/sdk/", "unknown", 60, "mlx5", "doca-ofed",
	  "usr/share/doca-host-*/repo", "usr/share/doca-host-*/repo",
	  "mlnx-ofed mlnx-ofed-lts" },
	{ "winof2", "MLNX_WinOF2-", "LicenseRef-NVIDIA-WinOF2",
	  "https://docs.nvidia.com/networking/", "unknown", 50, NULL, NULL, NULL, NULL, NULL },
	{ "winof", "MLNX_VPI_WinOF-", "LicenseRef-NVIDIA-WinOF",
	  "https://docs.nvidia.com/networking/", "unknown", 50, NULL, NULL, NULL, NULL, NULL },
};

void import_free(struct import *import)
{
	json_decref(import->manifests);
	json_decref(import->findings);
	json_decref(import->digests);
	*import = (struct import) { 0 };
}

void import_find(struct import *import, const char *kind, const char *at, const char *format,
		 ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(import->findings, json_pack("{s:s, s:s, s:s}", "kind", kind, "at",
							  at, "text", text));
}

static const char *base_name(const char *url)
{
	const char *slash = strrchr(url, '/');

	return slash ? slash + 1 : url;
}

static const struct family *family_of(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		if (strcmp(families[i].name, name) == 0)
			return &families[i];
	}
	abort(); /* the readers name only these */
}

/* "5.5-1.0.3.2-rhel8.2-x86_64.tgz" -> "5.5-1.0.3.2"; "2_22_50000_All_x64.exe" -> "2.22.50000". */
static char *version_of(const char *text)
{
	size_t length = strspn(text, "0123456789._");
	char *version;

	if (text[length] == '-')
		length += 1 + strspn(text + length + 1, "0123456789.");
	while (length > 0 && strchr("._-", text[length - 1]))
		length--;
	version = must_printf("%.*s", (int)length, text);
	for (char *at = version; *at; at++)
		*at = *at == '_' ? '.' : *at;
	return version;
}

const char *import_family(const char *url, char **out_version)
{
	const char *name = base_name(url);

	for (size_t i = 0; i < COUNT_OF(families); i++) {
		const char *prefix = families[i].prefix;

		if (strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		name += strcspn(name, "-_0123456789");
		name += strcspn(name, "0123456789");
		if (strncmp(prefix, "MLNX_WinOF2", strlen("MLNX_WinOF2")) == 0)
			name = base_name(url) + strlen(prefix);
		*out_version = version_of(name);
		return families[i].name;
	}
	return NULL;
}

bool import_knows_nic(const char *nic)
{
	for (size_t i = 0; i < COUNT_OF(nics); i++) {
		if (strcmp(nics[i].name, nic) == 0)
			return true;
	}
	return false;
}

static json_t *devices_of(const char *nic, bool windows)
{
	json_t *devices = json_array();

	for (size_t i = 0; i < COUNT_OF(nics); i++) {
		const char *id = nics[i].ids;

		if (strcmp(nics[i].name, nic) != 0)
			continue;
		for (; *id; id += strcspn(id, " "), id += *id == ' ') {
			AUTO_FREE char *glob =
				windows ? must_printf("PCI\\VEN_15B3&DEV_%.4s&CC_02%.2s*", id,
						      id + 5)
					: must_printf(
						  "pci:v000015B3d0000%.4ssv*sd*bc02sc%.2si*",
						  id, id + 5);

			json_array_append_new(devices, json_string(glob));
		}
	}
	return devices;
}

static json_t *words_of(const char *text)
{
	AUTO_FREE char *copy = must_strdup(text);
	json_t *list = json_array();
	char *rest = copy;

	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
		json_array_append_new(list, json_string(word));
	return list;
}

static json_t *manifest_of(struct import *import, const struct family *family)
{
	json_t *manifest = json_object_get(import->manifests, family->name);

	if (manifest)
		return manifest;
	manifest = json_pack(
		"{s:s, s:s, s:{s:s, s:s, s:s, s:b}, s:{}, s:{s:i}, s:{}, s:{}, s:[]}", "format",
		FLAT_FORMAT, "name", family->name, "licence", "id", family->licence, "url",
		family->page, "redistribute", family->redistribute, "accept", 1, "sets",
		"template", "rank", family->rank, "files", "pins", "bundles");
	if (family->excludes)
		json_object_set_new(json_object_get(manifest, "template"), "excludes",
				    words_of(family->excludes));
	json_object_set_new(import->manifests, family->name, manifest);
	return manifest;
}

/* "ubuntu:20.04" -> "ubuntu-20.04"; of rhel and centos the first. The caller frees. */
static char *target_of(const struct import_row *row)
{
	char *target = must_strdup(json_string_value(json_array_get(row->os, 0)));
	char *colon = strchr(target, ':');

	if (colon)
		*colon = '-';
	return target;
}

static json_t *packages_take(const char *headers, const char *closure)
{
	return json_pack("{s:[s, s, s, s], s:s, s:s}", "packages", "dkms", "gcc", headers,
			 "make", "closure", closure, "into", "BUILD");
}

static void fill_linux(json_t *bundle, const struct family *family,
		       const struct import_row *row, bool deb, bool headers)
{
	AUTO_FREE char *target = target_of(row);
	AUTO_FREE char *set = must_printf("@site-%s-kernels", target);
	AUTO_FREE char *core = must_printf("%s_core", family->module);
	AUTO_FREE char *verbs = must_printf("%s_ib", family->module);
	json_t *take = json_pack("[{s:s, s:s, s:[s], s:s, s:s}]", "file", row->id, "repo",
				 deb ? family->deb_repo : family->rpm_repo, "packages",
				 family->package, "closure", target, "into", "PACKAGES");
	json_t *install = json_array();

	if (row->kernel) {
		json_object_set_new(bundle, "kernels", json_pack("[s]", row->kernel));
	} else {
		json_object_set_new(bundle, "each", json_pack("{s:[s]}", "kernel", set));
		json_object_set_new(bundle, "kernels", json_pack("[s]", "${kernel}"));
		json_array_append_new(take, packages_take(deb ? "linux-headers-${kernel}"
							      : "kernel-devel-${kernel}",
							  target));
	}
	if (headers) {
		AUTO_FREE char *file = must_printf("%s-headers", row->id);

		json_array_append_new(take,
				      json_pack("{s:s, s:s}", "file", file, "into", "BUILD"));
	}
	if (!row->kernel || headers)
		json_array_append_new(install,
				      json_pack("{s:s, s:[s]}", "do", "packages", "files",
						deb ? "BUILD/*.deb" : "BUILD/*.rpm"));
	json_array_append_new(install, json_pack("{s:s, s:[s]}", "do", "packages", "files",
						 deb ? "PACKAGES/*.deb" : "PACKAGES/*.rpm"));
	if (deb)
		json_array_append_new(install, json_pack("{s:s, s:s}", "do", "dkms", "module",
							 "mlnx-ofed-kernel"));
	json_array_append_new(install,
			      json_pack("{s:s, s:[s, s, s, s]}", "do", "load", "modules", core,
					verbs, "ib_umad", "ib_ipoib"));
	json_object_set_new(bundle, "take", take);
	json_object_set_new(bundle, "install", install);
	json_object_set_new(bundle, "expect",
			    json_pack("{s:s, s:s, s:s}", "driver", core, "link_layer",
				      "InfiniBand", "port", "physical"));
}

static void fill_windows(json_t *bundle, const struct import_row *row)
{
	json_object_set_new(bundle, "take",
			    json_pack("[{s:s, s:s}]", "file", row->id, "into", "."));
	json_object_set_new(bundle, "install",
			    json_pack("[{s:s, s:s, s:s, s:[i], s:[i, i], s:[i], s:i, s:s}]",
				      "do", "exe", "file", base_name(row->url), "command_line",
				      "/S /v\"/qn /norestart MT_SKIPFWUPGRD=1 /l*v %{log}\"",
				      "ok", 0, "reboot", 3010, 1641, "retry", 1618, "timeout_s",
				      900, "unverified",
				      "silent switches are from the vendor's manual, not run "
				      "on real Windows"));
	json_object_set_new(bundle, "expect", json_pack("{s:i}", "problem", 0));
}

/* A link that is http stays where it is, by https: a manifest takes no http without a digest. The caller
 * frees. */
static char *safe_url(struct import *import, const char *at, const char *url)
{
	char *safe;

	if (strncmp(url, "http://", 7) == 0) {
		import_find(import, "http", at, "a plain http link, written as https: %s", url);
		safe = must_printf("https://%s", url + 7);
	} else {
		safe = must_strdup(url);
	}
	if (!url_fault(safe, URL_OF_FILE))
		return safe;
	import_find(import, "invalid", at, "the link cannot stand in a manifest: %s",
		    url_fault(safe, URL_OF_FILE));
	free(safe);
	return NULL;
}

/* The digest, if it may be believed. */
static const char *usable_digest(struct import *import, const struct import_row *row,
				 const char *url)
{
	const char *owner;

	if (!row->sha256 || !field_sha256.fits(row->sha256)) {
		import_find(import, "no-digest", row->at, "%s %s", base_name(url),
			    row->sha256 ? "has something that is no SHA-256" : "has no digest");
		return NULL;
	}
	owner = json_string_value(json_object_get(import->digests, row->sha256));
	if (owner && strcmp(base_name(owner), base_name(url)) != 0) {
		import_find(import, "contradiction", row->at,
			    "the digest of %s is that of %s: not pinned", base_name(url),
			    base_name(owner));
		return NULL;
	}
	json_object_set_new(import->digests, row->sha256, json_string(url));
	return row->sha256;
}

static void add_file(json_t *manifest, const char *name, const char *url, const char *sha256)
{
	json_object_set_new(json_object_get(manifest, "files"), name,
			    json_pack("{s:s}", "url", url));
	if (sha256)
		json_object_set_new(json_object_get(manifest, "pins"), url,
				    json_pack("{s:s}", "sha256", sha256));
}

/* Does a bundle of this id take this file already? Then it serves one more NIC. */
static bool join(struct import *import, json_t *manifest, const struct import_row *row,
		 const char *url)
{
	AUTO_FREE char *set = must_printf("@%s", row->nic);
	json_t *bundle, *device, *devices;
	size_t i, j;

	json_array_foreach(json_object_get(manifest, "bundles"), i, bundle)
	{
		const json_t *file =
			json_object_get(json_object_get(manifest, "files"), row->id);

		if (strcmp(json_string_value(json_object_get(bundle, "id")), row->id) != 0 ||
		    strcmp(json_string_value(json_object_get(file, "url")), url) != 0)
			continue;
		devices = json_object_get(bundle, "devices");
		json_array_foreach(devices, j, device)
		{
			if (strcmp(json_string_value(device), set) == 0) {
				import_find(import, "contradiction", row->at,
					    "stands there twice");
				return true;
			}
		}
		json_array_append_new(devices, json_string(set));
		return true;
	}
	return false;
}

static void put_bundle(struct import *import, const struct family *family,
		       const struct import_row *row, const char *url)
{
	json_t *manifest = manifest_of(import, family);
	AUTO_FREE char *set = must_printf("@%s", row->nic), *headers = NULL;
	AUTO_FREE char *file = must_printf("%s-headers", row->id);
	bool deb = strncmp(json_string_value(json_array_get(row->os, 0)), "ubuntu:", 7) == 0;
	json_t *bundle, *sets = json_object_get(manifest, "sets");

	if (!json_object_get(sets, row->nic))
		json_object_set_new(sets, row->nic, devices_of(row->nic, !family->module));
	if (join(import, manifest, row, url))
		return;
	if (json_object_get(json_object_get(manifest, "files"), row->id)) {
		import_find(import, "contradiction", row->at,
			    "%s: another file stands there for the same system: %s", row->id,
			    base_name(url));
		return;
	}
	add_file(manifest, row->id, url, usable_digest(import, row, url));
	if (row->headers)
		headers = safe_url(import, row->at, row->headers);
	if (headers) {
		import_find(import, "no-digest", row->at, "%s has no digest",
			    base_name(headers));
		add_file(manifest, file, headers, NULL);
	}
	bundle = json_pack("{s:s, s:s, s:O, s:[s], s:[s]}", "id", row->id, "version",
			   row->version, "os", row->os, "arch", row->arch, "devices", set);
	if (family->module)
		fill_linux(bundle, family, row, deb, headers != NULL);
	else
		fill_windows(bundle, row);
	json_array_append_new(json_object_get(manifest, "bundles"), bundle);
}

static bool row_is_sound(struct import *import, const struct import_row *row)
{
	size_t i;
	const json_t *os;

	json_array_foreach(row->os, i, os)
	{
		if (!field_os.fits(json_string_value(os))) {
			import_find(import, "invalid", row->at, "no name of a system");
			return false;
		}
	}
	if (name_is_safe(row->id) && name_is_safe(row->version) && field_arch.fits(row->arch) &&
	    (!row->kernel || name_is_glob(row->kernel)))
		return true;
	import_find(import, "invalid", row->at,
		    "a name, version, architecture or kernel that cannot stand in a manifest");
	return false;
}

void import_add(struct import *import, const struct import_row *row)
{
	AUTO_FREE char *url = NULL;
	AUTO_JSON json_t *arch = NULL;
	struct err err;

	if (!row_is_sound(import, row))
		return;
	url = safe_url(import, row->at, row->url);
	if (!url)
		return;
	arch = json_pack("[s]", row->arch);
	if (lint_check_target(url, row->os, arch, &err) < 0)
		import_find(import, "contradiction", row->at, "%s: left out", err.text);
	else
		put_bundle(import, family_of(row->family), row, url);
}

int import_read(const json_t *document, struct import *out, struct err *err)
{
	AUTO_IMPORT struct import import = { .manifests = json_object(),
					     .findings = json_array(),
					     .digests = json_object() };
	int code;

	if (json_is_array(json_object_get(document, "Driver")))
		code = import_resources(document, &import, err);
	else
		code = import_versions(document, &import, err);
	if (code < 0)
		return -1;
	*out = import;
	import = (struct import) { 0 };
	return 0;
}
