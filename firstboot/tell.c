#include "firstboot/tell.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "firstboot/azure.h"
#include "firstboot/kvp_pool.h"
#include "firstboot/metrics.h"

#define NOTE_MAX 1024

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* What is not here is nobody's to hear. */
static void warn(struct log *log, int code, const struct err *err)
{
	if (code < 0 && err->kind != ERR_MISSING)
		log_line(log, "warning: %s", err->text);
}

/* Can nobody but us put a link there? */
static bool is_ours(int dir)
{
	struct stat status;

	return fstat(dir, &status) == 0 && status.st_uid == geteuid() &&
	       !(status.st_mode & 022);
}

/* Folders of a scraper's user, or of a log daemon's group, are on the way: from the first of those on no link is
 * followed (T9). */
static int open_told(const struct machine *machine, const char *path, int *out_dir,
		     struct err *err)
{
	AUTO_CLOSE int at = -1;
	char part[FS_PATH_MAX];
	bool ours = true;

	if (strlen(path) >= sizeof(part) || machine_open_dir(machine, "/", &at, err) < 0)
		return err_set(err, ERR_INVALID, "%.64s: no folder to tell", path);
	for (size_t end = 0; path[end + strspn(path + end, "/")];) {
		size_t start = end + strspn(path + end, "/");
		AUTO_CLOSE int above = take_fd(&at);

		end = start + strcspn(path + start, "/");
		memcpy(part, path, end);
		part[end] = '\0';
		if (ours && machine_open_dir(machine, part, &at, err) < 0)
			return -1;
		if (!ours)
			at = openat(above, part + start,
				    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (at < 0)
			return errno == ENOENT
				       ? err_set(err, ERR_MISSING, "%s: no such folder", part)
				       : err_errno(err, "open %s", part);
		ours = ours && is_ours(at);
	}
	*out_dir = take_fd(&at);
	return 0;
}

/* The folder of the metrics file; *out_name is what it is called there. */
static int open_metrics(const struct machine *machine, const struct config *config,
			const char **out_name, int *out_dir, struct err *err)
{
	const char *path = config->metrics[0] ? config->metrics : TELL_METRICS;
	const char *name = strrchr(path, '/') + 1;
	AUTO_FREE char *folder = must_printf("%.*s", (int)(name - path), path);

	*out_name = name;
	return open_told(machine, folder, out_dir, err);
}

static int tell_metrics(const struct machine *machine, const struct config *config,
			const json_t *document, struct err *err)
{
	AUTO_FREE char *text = metrics_text(document);
	AUTO_CLOSE int dir = -1;
	const char *name;

	if (open_metrics(machine, config, &name, &dir, err) < 0)
		return -1;
	if (fs_replace(dir, name, text, strlen(text), 0644, err) < 0)
		return err_wrap(err, "metrics");
	return 0;
}

static int tell_host(const struct machine *machine, const json_t *document, struct err *err)
{
	const json_t *statement = json_object_get(document, "statement");
	char said[NOTE_MAX], text[NOTE_MAX];
	const struct kvp_pair pairs[] = {
		{ "larder.outcome", text_of(document, "state") },
		{ "larder.reason", text_of(document, "reason") },
		{ "larder.text", text },
		{ "larder.statement", said },
	};

	snprintf(text, sizeof(text), "%s: %s", text_of(document, "moment"),
		 text_of(document, "text"));
	snprintf(said, sizeof(said), "%s serial %lld %s", text_of(statement, "name"),
		 (long long)json_integer_value(json_object_get(statement, "serial")),
		 text_of(statement, "envelope"));
	if (!statement)
		said[0] = '\0';
	return kvp_pool_put(machine, pairs, COUNT_OF(pairs), err);
}

static int tell_azure(const struct machine *machine, const json_t *document, struct err *err)
{
	AUTO_FREE char *text = azure_text(document);
	AUTO_CLOSE int log = -1, dir = -1;

	if (!json_is_true(json_object_get(json_object_get(document, "machine"), "azure")))
		return 0;
	if (machine_make_dir(machine, MACHINE_LOG, &log, err) < 0 ||
	    (mkdirat(log, strrchr(TELL_AZURE_FOLDER, '/') + 1, 0755) < 0 && errno != EEXIST))
		return err_errno(err, "make folder " TELL_AZURE_FOLDER);
	if (open_told(machine, TELL_AZURE_FOLDER, &dir, err) < 0 ||
	    fs_replace(dir, TELL_AZURE_NAME, text, strlen(text), 0644, err) < 0)
		return err_wrap(err, TELL_AZURE_FOLDER);
	return 0;
}

void tell(const struct machine *machine, const struct config *config, const json_t *document,
	  struct log *log)
{
	struct err metrics = { 0 }, host = { 0 }, azure = { 0 };

	warn(log, tell_metrics(machine, config, document, &metrics), &metrics);
	warn(log, tell_host(machine, document, &host), &host);
	warn(log, tell_azure(machine, document, &azure), &azure);
}

void tell_nothing(const struct machine *machine, const struct config *config, struct log *log)
{
	AUTO_CLOSE int dir = -1;
	struct err err = { 0 };
	const char *name;

	if (open_metrics(machine, config, &name, &dir, &err) < 0)
		return;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		log_line(log, "warning: metrics: %s: %s", name, strerror(errno));
}
