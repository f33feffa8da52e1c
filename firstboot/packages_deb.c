/* Packages of Debian's kind, by dpkg: it needs no repository and no network. What apt would add, an order for
 * pre-dependencies, takes a second call of dpkg here; which packages are needed was resolved when the bundle was baked. */
#include <string.h>

#include "firstboot/packages.h"

/* "Package: name" out of some output. */
static void field(const char *output, const char *label, char out[PACKAGES_TEXT])
{
	size_t length = strlen(label);

	out[0] = '\0';
	for (const char *line = output; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, label, length) != 0 || line[length] != ':')
			continue;
		line += length + 1;
		line += strspn(line, " ");
		snprintf(out, PACKAGES_TEXT, "%.*s", (int)strcspn(line, "\n "), line);
		return;
	}
}

static void read_file(const struct tool *tool, struct packages_file *file)
{
	const char *const argv[] = { "dpkg-deb",       "-f", file->path, "Package", "Version",
				     "Installed-Size", NULL };
	AUTO_FREE char *output = packages_ask(tool, argv);
	char size[PACKAGES_TEXT];

	if (!output)
		return;
	field(output, "Package", file->name);
	field(output, "Version", file->version);
	field(output, "Installed-Size", size);
	file->bytes = strtoull(size, NULL, 10) % (UINT64_C(1) << 32) * 1024;
}

static void look(const struct tool *tool, const char *name, const char *version,
		 struct packages_state *out)
{
	const char *const argv[] = { "dpkg-query", "-W", "-f=${Status} ${Version}\n",
				     "--",	   name, NULL };
	AUTO_FREE char *output = packages_ask(tool, argv);
	char want[32] = "", flag[32] = "", status[32] = "";
	struct packages_state state = { 0 };

	(void)version;
	if (!output ||
	    sscanf(output, "%31s %31s %31s %255s", want, flag, status, state.version) < 3)
		return;
	state.config = strcmp(status, "config-files") == 0;
	state.there = strcmp(status, "not-installed") != 0;
	state.whole = strcmp(status, "installed") == 0 && strcmp(flag, "ok") == 0;
	state.held = strcmp(want, "hold") == 0;
	*out = state;
}

/* What is broken may be somebody else's: our own packages are judged by what becomes of them. */
static enum reason repair(struct packages *packages, struct err *err)
{
	static const char *const head[] = {
		"dpkg", "--force-confdef", "--force-confold", "--configure", "-a", NULL
	};
	struct err why = { 0 };
	enum reason reason = packages_run(packages, head, NULL, 0, NULL, &why);

	if (reason == REASON_DONE || reason == REASON_STEP_FAILED)
		return REASON_DONE;
	*err = why;
	return reason;
}

/* dpkg takes packages in the order they are named, and one with a pre-dependency only once that is configured. What the others
 * brought serves it in the next call, as long as each call leaves fewer. Configuration files stay the owner's. */
static enum reason install(struct packages *packages, struct err *err)
{
	static const char *const head[] = {
		"dpkg", "--force-confdef", "--force-confold", "-i", "--", NULL
	};

	while (packages->count) {
		size_t before = packages->count;
		AUTO_FREE char *output = NULL;
		struct err why = { 0 };
		enum reason reason = packages_run(packages, head, NULL, before, &output, &why);

		if (reason == REASON_DONE)
			return reason;
		if (reason == REASON_STEP_FAILED && output &&
		    strstr(output, "pre-dependency problem")) {
			packages_drop_installed(packages);
			if (packages->count < before)
				continue;
		}
		*err = why;
		return reason;
	}
	return REASON_DONE;
}

static enum reason take_off(struct packages *packages, const char *const *names, size_t count,
			    bool config, struct err *err)
{
	const char *const head[] = { "dpkg", "--force-remove-reinstreq",
				     config ? "--purge" : "--remove", "--", NULL };

	return packages_run(packages, head, names, count, NULL, err);
}

static enum reason hold_all(struct packages *packages, const struct record_step *step,
			    const char *const *names, size_t count, bool hold, struct err *err)
{
	const char *const head[] = { "apt-mark", hold ? "hold" : "unhold", "--", NULL };

	(void)step;
	return count ? packages_run(packages, head, names, count, NULL, err) : REASON_DONE;
}

const struct packages_manager packages_deb = { .tail = ".deb",
					       .program = "dpkg",
					       .scripts = "/var/lib/dpkg",
					       .database = "/var/lib/dpkg",
					       .repacks = true,
					       .read = read_file,
					       .look = look,
					       .repair = repair,
					       .install = install,
					       .remove = take_off,
					       .hold = hold_all };
