#include "firstboot/config.h"

#include <string.h>

#include "cache/name.h"
#include "firstboot/want.h"

#define WHERE_COMMAND_LINE "the kernel command line"
#define COMMAND_LINE_MAX 65536
#define SAFE_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

/* One of two words. */
static int set_word(bool *field, const char *value, const char *yes, const char *no,
		    struct err *err)
{
	if (strcmp(value, yes) != 0 && strcmp(value, no) != 0)
		return err_set(err, ERR_INVALID, "expected %s or %s", yes, no);
	*field = strcmp(value, yes) == 0;
	return 0;
}

static int set_enabled(struct config *config, const char *value, const char *where,
		       struct err *err)
{
	if (set_word(&config->enabled, value, "yes", "no", err) < 0)
		return -1;
	snprintf(config->enabled_where, sizeof(config->enabled_where), "%s", where);
	return 0;
}

static int set_steps(struct config *config, const char *value, const char *where,
		     struct err *err)
{
	bool named[COUNT_OF(config->step)] = { 0 };
	char copy[128];
	char *rest = copy;

	if (strlen(value) >= sizeof(copy))
		return err_set(err, ERR_INVALID, "too long");
	strcpy(copy, value);
	for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
		int kind = record_do_find(word);

		if (kind < 0)
			return err_set(err, ERR_INVALID, "no such step");
		named[kind] = true;
	}
	for (size_t kind = 0; kind < COUNT_OF(named); kind++)
		config->step[kind] = config->step[kind] && named[kind];
	snprintf(config->steps_where, sizeof(config->steps_where), "%s", where);
	return 0;
}

static int set_seconds(uint64_t *field, const char *value, uint64_t least, uint64_t most,
		       struct err *err)
{
	uint64_t seconds = strtoull(value, NULL, 10);

	if (strspn(value, "0123456789") != strlen(value) || value[0] == '\0' ||
	    strlen(value) > 6 || seconds < least || seconds > most)
		return err_set(err, ERR_INVALID, "expected %d to %d seconds", (int)least,
			       (int)most);
	*field = seconds;
	return 0;
}

static int set_carrier(struct config *config, const char *value, const char *where,
		       struct err *err)
{
	(void)where;
	return set_seconds(&config->carrier_timeout_s, value, 0, CONFIG_MAX_TIMEOUT_S, err);
}

static int set_step(struct config *config, const char *value, const char *where,
		    struct err *err)
{
	(void)where;
	if (set_seconds(&config->step_timeout_s, value, 1, CONFIG_MAX_TIMEOUT_S, err) < 0)
		return -1;
	config->step_timeout_set = true;
	return 0;
}

static int set_early_budget(struct config *config, const char *value, const char *where,
			    struct err *err)
{
	(void)where;
	return set_seconds(&config->early_budget_s, value, CONFIG_MIN_BUDGET_S,
			   CONFIG_MAX_EARLY_BUDGET_S, err);
}

static int set_budget(struct config *config, const char *value, const char *where,
		      struct err *err)
{
	(void)where;
	return set_seconds(&config->budget_s, value, CONFIG_MIN_BUDGET_S, CONFIG_MAX_TIMEOUT_S,
			   err);
}

static int set_reload(struct config *config, const char *value, const char *where,
		      struct err *err)
{
	(void)where;
	return set_word(&config->reload, value, "auto", "never", err);
}

static int set_dependents(struct config *config, const char *value, const char *where,
			  struct err *err)
{
	static const char *const words[] = {
		[CONFIG_DEPENDENTS_WARN] = "warn",
		[CONFIG_DEPENDENTS_REFUSE] = "refuse",
		[CONFIG_DEPENDENTS_REBUILD] = "rebuild",
	};

	(void)where;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (strcmp(value, words[i]) != 0)
			continue;
		config->dependents = (enum config_dependents)i;
		return 0;
	}
	return err_set(err, ERR_INVALID, "expected warn, refuse or rebuild");
}

static int set_volumes(struct config *config, const char *value, const char *where,
		       struct err *err)
{
	static const char *const words[] = {
		[CONFIG_VOLUMES_NO] = "no",
		[CONFIG_VOLUMES_TAR] = "tar",
		[CONFIG_VOLUMES_MOUNT] = "mount",
	};

	(void)where;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (strcmp(value, words[i]) != 0)
			continue;
		config->volumes = (enum config_volumes)i;
		return 0;
	}
	return err_set(err, ERR_INVALID, "expected no, tar or mount");
}

/* node_exporter reads nothing but files of this name's end. */
static int set_metrics(struct config *config, const char *value, const char *where,
		       struct err *err)
{
	size_t length = strlen(value);

	(void)where;
	if (value[0] != '/' || strspn(value, SAFE_BYTES "/") != length ||
	    strstr(value, "/../") || length < strlen("/x.prom") ||
	    length >= sizeof(config->metrics) || strcmp(value + length - 5, ".prom") != 0)
		return err_set(err, ERR_INVALID,
			       "expected an absolute path that ends in .prom");
	memcpy(config->metrics, value, length + 1);
	return 0;
}

/* --- what is missing, and from where it may come ------------------------------------------------- */

static int set_download(struct config *config, const char *value, const char *where,
			struct err *err)
{
	(void)where;
	return set_word(&config->download, value, "yes", "no", err);
}

static int set_newer(struct config *config, const char *value, const char *where,
		     struct err *err)
{
	(void)where;
	return set_word(&config->newer, value, "yes", "no", err);
}

static int set_race(struct config *config, const char *value, const char *where,
		    struct err *err)
{
	(void)where;
	return set_word(&config->race, value, "yes", "no", err);
}

static int set_on_refused(struct config *config, const char *value, const char *where,
			  struct err *err)
{
	(void)where;
	return set_word(&config->repair, value, "download", "fail", err);
}

static bool is_file(const char *source)
{
	return strncmp(source, CONFIG_FILE_SOURCE, strlen(CONFIG_FILE_SOURCE)) == 0;
}

static bool path_is_good(const char *path)
{
	return path[0] == '/' && strspn(path, SAFE_BYTES ":/") == strlen(path) &&
	       !strstr(path, "/../") && path[strlen(path) - 1] != '/';
}

/* What the URL leads to is judged by the downloader; no secret is repeated here. */
static bool source_is_good(const char *url)
{
	static const char *const schemes[] = { "https://", "http://", "oci://" };

	if (is_file(url))
		return path_is_good(url + strlen(CONFIG_FILE_SOURCE));
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			return name_is_plain_url(url) && url[strlen(schemes[i])] != '\0';
	}
	return false;
}

size_t config_sources(const struct config *config, char text[CONFIG_SOURCES_MAX],
		      const char *out_source[CONFIG_MAX_SOURCES])
{
	size_t count = 0;
	char *rest = text;

	memcpy(text, config->sources, CONFIG_SOURCES_MAX);
	for (char *word = strsep(&rest, ","); word && *word && count < CONFIG_MAX_SOURCES;
	     word = strsep(&rest, ",")) {
		if (!is_file(word))
			out_source[count++] = word;
	}
	return count;
}

static int set_sources(struct config *config, const char *value, const char *where,
		       struct err *err)
{
	char copy[CONFIG_SOURCES_MAX];
	char *rest = copy;
	size_t count = 0;

	(void)where;
	if (strlen(value) >= sizeof(copy))
		return err_set(err, ERR_INVALID, "too long");
	strcpy(copy, value);
	for (char *word = strsep(&rest, ","); word && *value; word = strsep(&rest, ",")) {
		if (!source_is_good(word))
			return err_set(err, ERR_INVALID,
				       "expected https://, http:// or oci:// URLs, or "
				       "file:/PATH of a folder or a tar, commas between them");
		if (++count > CONFIG_MAX_SOURCES)
			return err_set(err, ERR_INVALID, "more than %d", CONFIG_MAX_SOURCES);
	}
	memset(config->sources, 0, sizeof(config->sources));
	strcpy(config->sources, value);
	return 0;
}

static int set_net_budget(struct config *config, const char *value, const char *where,
			  struct err *err)
{
	(void)where;
	return set_seconds(&config->net_budget_s, value, 1, CONFIG_MAX_NET_BUDGET_S, err);
}

static int set_count(uint64_t *field, const char *value, uint64_t most, struct err *err)
{
	uint64_t number = strtoull(value, NULL, 10);

	if (strspn(value, "0123456789") != strlen(value) || strlen(value) > 3 || number < 1 ||
	    number > most)
		return err_set(err, ERR_INVALID, "expected 1 to %d", (int)most);
	*field = number;
	return 0;
}

static int set_connections(struct config *config, const char *value, const char *where,
			   struct err *err)
{
	(void)where;
	return set_count(&config->connections, value, WANT_MAX_CONNECTIONS, err);
}

static int set_keep(struct config *config, const char *value, const char *where,
		    struct err *err)
{
	(void)where;
	return set_count(&config->keep, value, CONFIG_MAX_KEEP, err);
}

static int set_proxy(struct config *config, const char *value, const char *where,
		     struct err *err)
{
	(void)where;
	if (*value && (!name_is_plain_url(value) || strlen(value) >= sizeof(config->proxy)))
		return err_set(err, ERR_INVALID, "expected a URL");
	snprintf(config->proxy, sizeof(config->proxy), "%s", value);
	return 0;
}

static int set_ca(struct config *config, const char *value, const char *where, struct err *err)
{
	(void)where;
	if (value[0] != '/' || strspn(value, SAFE_BYTES "/") != strlen(value) ||
	    strlen(value) >= sizeof(config->ca))
		return err_set(err, ERR_INVALID, "expected an absolute path");
	snprintf(config->ca, sizeof(config->ca), "%s", value);
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct config *config, const char *value, const char *where,
		   struct err *err);
} keys[] = {
	{ "enabled", set_enabled },
	{ "steps", set_steps },
	{ "carrier_timeout_s", set_carrier },
	{ "step_timeout_s", set_step },
	{ "early_budget_s", set_early_budget },
	{ "budget_s", set_budget },
	{ "metrics", set_metrics },
	{ "reload", set_reload },
	{ "dependents", set_dependents },
	{ "download", set_download },
	{ "sources", set_sources },
	{ "volumes", set_volumes },
	{ "on_refused", set_on_refused },
	{ "newer", set_newer },
	{ "net_budget_s", set_net_budget },
	{ "race", set_race },
	{ "connections", set_connections },
	{ "proxy", set_proxy },
	{ "ca", set_ca },
	{ "keep", set_keep },
};

struct config config_defaults(void)
{
	struct config config = { .enabled = true,
				 .carrier_timeout_s = 10,
				 .step_timeout_s = 600,
				 .early_budget_s = 100,
				 .budget_s = 840,
				 .reload = true,
				 .volumes = CONFIG_VOLUMES_TAR,
				 .download = true,
				 .newer = true,
				 .net_budget_s = 600,
				 .connections = 4,
				 .keep = 2 };

	for (size_t kind = 0; kind < COUNT_OF(config.step); kind++)
		config.step[kind] = true;
	return config;
}

int config_set(struct config *config, const char *key, const char *value, const char *where,
	       struct err *err)
{
	/* A key is said back in warnings; each value is judged by its own setter. */
	if (strspn(key, SAFE_BYTES) != strlen(key))
		return err_set(err, ERR_INVALID, "unexpected character");
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		if (strcmp(key, keys[i].key) != 0)
			continue;
		if (keys[i].set(config, value, where, err) < 0)
			return err_wrap(err, "%s", key);
		return 0;
	}
	return err_set(err, ERR_INVALID, "unknown key %.32s", key);
}

static void add_setting(struct config *config, char *setting, const char *where,
			struct log *log)
{
	struct err err = { 0 };
	char *value = strchr(setting, '=');

	if (value)
		*value++ = '\0';
	if (!value)
		err_set(&err, ERR_INVALID, "expected KEY=VALUE");
	else if (config_set(config, setting, value, where, &err) == 0)
		return;
	log_line(log, "warning: %s: %s; ignored", where, err.text);
}

void config_add_text(struct config *config, char *text, const char *where, struct log *log)
{
	for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n")) {
		size_t length;

		line += strspn(line, " \t");
		length = strlen(line);
		while (length > 0 && strchr(" \t\r", line[length - 1]))
			line[--length] = '\0';
		if (line[0] != '\0' && line[0] != '#')
			add_setting(config, line, where, log);
	}
}

void config_add_command_line(struct config *config, char *text, struct log *log)
{
	for (char *word = strsep(&text, " \t\n"); word; word = strsep(&text, " \t\n")) {
		if (strncmp(word, "larder.", 7) == 0)
			add_setting(config, word + 7, WHERE_COMMAND_LINE, log);
	}
}

static void add_file(const struct machine *machine, const char *path, struct config *config,
		     struct log *log)
{
	AUTO_FREE char *data = NULL;
	struct err err = { 0 };
	size_t size;

	if (machine_read(machine, path, CONFIG_MAX_BYTES, &data, &size, &err) < 0) {
		if (err.kind != ERR_MISSING)
			log_line(log, "warning: %s; ignored", err.text);
		return;
	}
	if (strlen(data) != size) {
		log_line(log, "warning: %s: holds a NUL; ignored", path);
		return;
	}
	config_add_text(config, data, path, log);
}

static bool name_is_conf(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".conf") == 0;
}

static void add_folder(const struct machine *machine, const char *path, struct config *config,
		       struct log *log)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (machine_open_dir(machine, path, &dir, &none) < 0 ||
	    fs_list(dir, ".", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *file = must_printf("%s/%s", path, names.name[i]);

		if (name_is_conf(names.name[i]))
			add_file(machine, file, config, log);
	}
}

void config_load(const struct machine *machine, struct config *out_config, struct log *log)
{
	struct config config = config_defaults();
	AUTO_FREE char *line = NULL;
	struct err none = { 0 };
	size_t size;

	add_file(machine, "/" MACHINE_ETC "/firstboot.conf", &config, log);
	add_folder(machine, "/" MACHINE_ETC "/conf.d", &config, log);
	if (machine_read(machine, "/proc/cmdline", COMMAND_LINE_MAX, &line, &size, &none) == 0)
		config_add_command_line(&config, line, log);
	*out_config = config;
}

int config_check_steps(const struct config *config, const struct record *record,
		       struct err *err)
{
	for (size_t i = 0; i < record->step_count; i++) {
		enum record_do kind = record->step[i].kind;

		if (!config->step[kind])
			return err_set(err, ERR_REFUSED, "steps=... in %s forbids '%s'",
				       config->steps_where, record_do_name(kind));
	}
	return 0;
}

int config_check_enabled(const struct config *config, struct err *err)
{
	if (config->enabled)
		return 0;
	return err_set(err, ERR_REFUSED, "switched off by %s", config->enabled_where);
}
