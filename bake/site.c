#include "bake/manifest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bake/field.h"
#include "bake/vars.h"
#include "cache/base/json.h"

#define PLACEHOLDER "..." /* a text_sha256 that still has to be filled in */

static bool is_withdrawn(const char *text)
{
	char name[NAME_MAX_BYTES + 1];
	const char *at = strchr(text, '@');

	if (!at || (size_t)(at - text) >= sizeof(name))
		return false;
	memcpy(name, text, (size_t)(at - text));
	name[at - text] = '\0';
	return name_is_safe(name) && name_is_safe(at + 1);
}

static bool is_source(const char *text)
{
	return !url_fault(text, URL_OF_SOURCE);
}

static bool is_text_digest(const char *text)
{
	return strcmp(text, PLACEHOLDER) == 0 || field_sha256.fits(text);
}

static const struct field_rule withdrawn_rule = {
	is_withdrawn,
	2 * NAME_MAX_BYTES + 1,
	"\"name@version\"",
};
static const struct field_rule source_rule = {
	is_source,
	URL_MAX_BYTES,
	"an https, http or oci URL without user name, query and fragment",
};
static const struct field_rule text_digest_rule = {
	is_text_digest,
	DIGEST_HEX_MAX - 1,
	"64 lower-case hex digits, or \"" PLACEHOLDER "\"",
};

/* A prefix that ends within a host name would also fit the host "mirror.example.evil". */
static void read_prefix(struct json_reader *reader, const char *key)
{
	const char *url = field_url(reader, key, URL_OF_FILE);

	if (url && url[strlen(url) - 1] != '/')
		json_bad(reader, key, "expected a \"/\" at the end");
}

static int read_mirror(struct json_reader *reader)
{
	static const char *const needed[] = { "prefix", "use", NULL };

	read_prefix(reader, "prefix");
	read_prefix(reader, "use");
	return field_close(reader, needed);
}

static int read_credential(struct json_reader *reader)
{
	static const char *const needed[] = { "host", NULL };
	const char *netrc;
	const json_t *command;

	field_text(reader, "host", &field_host);
	netrc = field_text(reader, "netrc", &field_file);
	command = field_list(reader, "header_command", &field_line);
	if (field_close(reader, needed) < 0)
		return -1;
	if (!netrc == !command)
		return json_bad(reader, "", "expected either \"netrc\" or \"header_command\"");
	return 0;
}

static int read_licence(struct json_reader *reader)
{
	static const char *const needed[] = { "id", "by", "on", "text_sha256", NULL };

	field_text(reader, "id", &field_name);
	field_text(reader, "by", &field_line);
	field_text(reader, "on", &field_date);
	field_text(reader, "text_sha256", &text_digest_rule);
	return field_close(reader, needed);
}

static int read_each(const json_t *array, const char *key,
		     int (*read)(struct json_reader *reader), struct err *err)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct json_reader reader;
		char where[JSON_PATH_MAX];

		field_where(where, "%s[%zu]", key, i);
		reader = json_open(json_array_get(array, i), where, err);
		if (read(&reader) < 0)
			return -1;
	}
	return 0;
}

static int read_repo(struct json_reader *reader)
{
	static const char *const managers[] = { "apt", "dnf", NULL };
	static const char *const apt_needs[] = { "sources", "installed", NULL };
	static const char *const dnf_needs[] = { "reposdir", "releasever", NULL };
	const char *manager = json_need_string(reader, "manager", NAME_MAX_BYTES);

	if (!manager || !field_word(reader, "manager", managers))
		return -1;
	field_text(reader, "installed", &field_file);
	if (strcmp(manager, "apt") == 0) {
		field_text(reader, "sources", &field_file);
		field_text(reader, "keyring", &field_file);
		return field_close(reader, apt_needs);
	}
	field_text(reader, "reposdir", &field_file);
	field_text(reader, "releasever", &field_name);
	return field_close(reader, dnf_needs);
}

static int read_repos(const json_t *repos, struct err *err)
{
	const json_t *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)repos, name, value)
	{
		struct json_reader reader;
		char where[JSON_PATH_MAX];

		if (!field_name.fits(name))
			return err_set(err, ERR_INVALID, "repos.%.64s: expected %s", name,
				       field_name.expected);
		field_where(where, "repos.%s", name);
		reader = json_open(value, where, err);
		if (read_repo(&reader) < 0)
			return -1;
	}
	return 0;
}

static int read_modules(const json_t *modules, struct err *err)
{
	static const char *const modules_need[] = { "sign", NULL };
	static const char *const sign_needs[] = { "certificate", "signer", NULL };
	struct json_reader reader;

	if (!modules)
		return 0;
	reader = json_open(modules, "modules", err);
	json_want_object(&reader, "sign");
	if (field_close(&reader, modules_need) < 0)
		return -1;
	reader = json_open(json_object_get(modules, "sign"), "modules.sign", err);
	field_text(&reader, "certificate", &field_file);
	field_list(&reader, "signer", &field_line);
	return field_close(&reader, sign_needs);
}

static int check_site(const json_t *document, struct err *err)
{
	static const char *const formats[] = { "larder.site.v1", NULL };
	static const char *const needed[] = { "format", NULL };
	struct json_reader reader = json_open(document, "", err);
	const json_t *mirrors, *credentials, *licences, *repos, *modules, *sets;

	field_word(&reader, "format", formats);
	sets = json_want_object(&reader, "sets");
	mirrors = json_want_array(&reader, "mirrors", MANIFEST_MAX_LIST);
	repos = json_want_object(&reader, "repos");
	credentials = json_want_array(&reader, "credentials", MANIFEST_MAX_LIST);
	field_list(&reader, "sources", &source_rule);
	field_list(&reader, "withdrawn", &withdrawn_rule);
	licences = json_want_array(&reader, "licences_accepted", MANIFEST_MAX_LIST);
	modules = json_want_object(&reader, "modules");
	if (field_close(&reader, needed) < 0 || vars_check_sets(sets, err) < 0 ||
	    read_each(mirrors, "mirrors", read_mirror, err) < 0 || read_repos(repos, err) < 0 ||
	    read_each(credentials, "credentials", read_credential, err) < 0 ||
	    read_each(licences, "licences_accepted", read_licence, err) < 0)
		return -1;
	return read_modules(modules, err);
}

int site_load(const char *path, struct site *out_site, struct err *err)
{
	AUTO_JSON json_t *document = NULL;

	if (json_read_at(AT_FDCWD, path, MANIFEST_MAX_BYTES, &document, err) < 0)
		return -1;
	if (check_site(document, err) < 0)
		return err_wrap(err, "%s", path);
	*out_site = (struct site) { .document = take_ptr(&document), .path = path };
	return 0;
}

void site_free(struct site *site)
{
	json_decref(site->document);
	*site = (struct site) { 0 };
}

const char *site_mirror(const struct site *site, const char *url, char out[SITE_URL_MAX])
{
	const json_t *mirrors = json_object_get(site->document, "mirrors");
	const char *use = "";
	size_t longest = 0;

	for (size_t i = 0; i < json_array_size(mirrors); i++) {
		const json_t *mirror = json_array_get(mirrors, i);
		const char *prefix = json_string_value(json_object_get(mirror, "prefix"));

		if (strlen(prefix) > longest && strncmp(url, prefix, strlen(prefix)) == 0) {
			longest = strlen(prefix);
			use = json_string_value(json_object_get(mirror, "use"));
		}
	}
	snprintf(out, SITE_URL_MAX, "%s%s", use, url + longest);
	return out;
}

const json_t *site_repo(const struct site *site, const char *name)
{
	return json_object_get(json_object_get(site->document, "repos"), name);
}

char *site_path(const struct site *site, const char *path)
{
	const char *slash = strrchr(site->path, '/');

	if (path[0] == '/' || !slash)
		return must_strdup(path);
	return must_printf("%.*s/%s", (int)(slash - site->path), site->path, path);
}

const json_t *site_sources(const struct site *site)
{
	return json_object_get(site->document, "sources");
}

const json_t *site_withdrawn(const struct site *site)
{
	return json_object_get(site->document, "withdrawn");
}

int site_check_licence(const struct site *site, const char *id, struct err *err)
{
	const json_t *list = json_object_get(site->document, "licences_accepted");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		const char *text;

		if (strcmp(json_string_value(json_object_get(entry, "id")), id) != 0)
			continue;
		text = json_string_value(json_object_get(entry, "text_sha256"));
		if (strcmp(text, PLACEHOLDER) != 0)
			return 0;
		return err_set(err, ERR_REFUSED,
			       "%s: licences_accepted[%zu].text_sha256: still \"" PLACEHOLDER
			       "\": fill in the SHA-256 of the text that was accepted",
			       site->path, i);
	}
	return err_set(err, ERR_REFUSED,
		       "licence %s wants acceptance: add it to licences_accepted in %s", id,
		       site->path ? site->path : "a site file (--site)");
}
