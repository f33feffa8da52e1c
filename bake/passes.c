#include "bake/passes.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bake/netrc.h"
#include "cache/base/fs.h"
#include "cache/base/run.h"
#include "cache/base64.h"
#include "cache/net/credentials.h"
#include "cache/net/location.h"

#define MAX_HEADERS 16
#define AUTO_SECRET __attribute__((cleanup(credentials_free)))

/* One row of the site file's "credentials". */
struct pass {
	const json_t *entry; /* borrowed */
	bool known; /* headers were read */
	char *header[MAX_HEADERS]; /* owned; secret */
	size_t count;
};

struct passes {
	const struct site *site;
	struct pass *pass;
	size_t count;
};

struct passes *passes_new(const struct site *site)
{
	const json_t *list = json_object_get(site->document, "credentials");
	struct passes *passes = must_calloc(1, sizeof(*passes));

	passes->site = site;
	passes->count = json_array_size(list);
	passes->pass = must_calloc(passes->count, sizeof(*passes->pass));
	for (size_t i = 0; i < passes->count; i++)
		passes->pass[i].entry = json_array_get(list, i);
	return passes;
}

void passes_free(struct passes **passes)
{
	if (!*passes)
		return;
	for (size_t i = 0; i < (*passes)->count; i++) {
		for (size_t j = 0; j < (*passes)->pass[i].count; j++)
			credentials_free(&(*passes)->pass[i].header[j]);
	}
	free((*passes)->pass);
	free(*passes);
	*passes = NULL;
}

void passes_drop(struct curl_slist **headers)
{
	for (struct curl_slist *header = *headers; header; header = header->next)
		explicit_bzero(header->data, strlen(header->data));
	curl_slist_free_all(*headers);
	*headers = NULL;
}

bool passes_is_header(const char *text)
{
	size_t name = 0;

	while (isalnum((unsigned char)text[name]) || text[name] == '-' || text[name] == '_')
		name++;
	if (name == 0 || text[name] != ':' || !text[name + 1])
		return false;
	for (const char *at = text + name; *at; at++) {
		if (*at < ' ' || *at > '~')
			return false;
	}
	return true;
}

static int read_netrc(const struct passes *passes, struct pass *pass, const char *host,
		      struct err *err)
{
	const char *named = json_string_value(json_object_get(pass->entry, "netrc"));
	AUTO_FREE char *path = site_path(passes->site, named);
	AUTO_SECRET char *text = NULL, *login = NULL, *basic = NULL;
	size_t size;

	if (fs_read_at(AT_FDCWD, path, NETRC_MAX_BYTES, &text, &size, err) < 0)
		return -1;
	if (netrc_find(text, host, &login, err) < 0)
		return err_wrap(err, "%s", path);
	basic = base64_encode(login, strlen(login));
	pass->header[pass->count++] = must_printf("Authorization: Basic %s", basic);
	return 0;
}

static int take_lines(struct pass *pass, char *output, const char *program, struct err *err)
{
	for (char *line = strsep(&output, "\n"); line; line = strsep(&output, "\n")) {
		line[strcspn(line, "\r")] = '\0';
		if (!*line)
			continue;
		if (!passes_is_header(line))
			return err_set(err, ERR_INVALID,
				       "header_command %s: expected lines \"Name: value\"",
				       program);
		if (pass->count == MAX_HEADERS)
			return err_set(err, ERR_INVALID, "header_command %s: too many lines",
				       program);
		pass->header[pass->count++] = must_strdup(line);
	}
	if (pass->count == 0)
		return err_set(err, ERR_INVALID, "header_command %s: printed nothing", program);
	return 0;
}

static int open_site_folder(const struct passes *passes, int *out_dir, struct err *err)
{
	AUTO_FREE char *here = site_path(passes->site, ".");

	return fs_open_dir(AT_FDCWD, here, out_dir, err);
}

/* Started in the site file's folder, without a shell and with a minimal environment. */
static int run_command(const struct passes *passes, struct pass *pass, struct err *err)
{
	const json_t *command = json_object_get(pass->entry, "header_command");
	AUTO_FREE const char **argv = must_calloc(json_array_size(command) + 1, sizeof(*argv));
	AUTO_CLOSE int dir = -1;
	struct run_spec spec = { .argv = argv,
				 .dir = &dir,
				 .timeout_ms = PASSES_TIMEOUT_MS,
				 .keep = PASSES_OUTPUT_MAX_BYTES };
	struct run_result result = { 0 };
	int code;

	for (size_t i = 0; i < json_array_size(command); i++)
		argv[i] = json_string_value(json_array_get(command, i));
	if (open_site_folder(passes, &dir, err) < 0)
		return -1;
	if (run(&spec, &result, err) < 0)
		return err_wrap(err, "header_command");
	if (result.code != 0)
		code = err_set(err, ERR_INVALID, "header_command %s: ended with code %d",
			       argv[0], result.code);
	else
		code = take_lines(pass, result.output, argv[0], err);
	explicit_bzero(result.output, result.size);
	free(result.output);
	return code;
}

static int read_pass(const struct passes *passes, struct pass *pass, const char *host,
		     struct err *err)
{
	int code = json_object_get(pass->entry, "netrc") ? read_netrc(passes, pass, host, err)
							 : run_command(passes, pass, err);

	if (code < 0)
		return err_wrap(err, "credentials for %s", host);
	pass->known = true;
	return 0;
}

/* The host of a URL, or "" for a file. */
static void host_of(const char *url, char out[URL_HOST_MAX_BYTES + 1])
{
	const char *host = strstr(url, "://");
	size_t length = host ? strcspn(host + 3, ":/") : 0;

	length = length > URL_HOST_MAX_BYTES ? 0 : length;
	memcpy(out, host ? host + 3 : "", length);
	out[length] = '\0';
}

/* The number of the row for a host; the number of rows: none is. */
static size_t find_row(const json_t *list, const char *host)
{
	size_t i = 0;

	while (i < json_array_size(list) &&
	       strcasecmp(json_string_value(json_object_get(json_array_get(list, i), "host")),
			  host) != 0)
		i++;
	return i;
}

const json_t *passes_entry(const struct site *site, const char *url)
{
	const json_t *list = json_object_get(site->document, "credentials");
	char host[URL_HOST_MAX_BYTES + 1];

	host_of(url, host);
	return json_array_get(list, find_row(list, host));
}

static struct pass *find_pass(const struct passes *passes, const char *host)
{
	size_t row = find_row(json_object_get(passes->site->document, "credentials"), host);

	return row < passes->count ? &passes->pass[row] : NULL;
}

int passes_add(struct passes *passes, const char *url, const char *from,
	       struct curl_slist **headers, struct err *err)
{
	char host[URL_HOST_MAX_BYTES + 1];
	struct pass *pass;

	host_of(url, host);
	pass = host[0] ? find_pass(passes, host) : NULL;
	if (!pass || !location_same_origin(url, from))
		return 0;
	if (strncasecmp(url, "https:", 6) != 0 && !reference_is_loopback(host))
		return err_set(err, ERR_REFUSED,
			       "credentials for %s would go over plain http: anyone on the way "
			       "could read them",
			       host);
	if (!pass->known && read_pass(passes, pass, host, err) < 0)
		return -1;
	for (size_t i = 0; i < pass->count; i++) {
		struct curl_slist *longer = curl_slist_append(*headers, pass->header[i]);

		if (!longer)
			abort();
		*headers = longer;
	}
	return 0;
}
