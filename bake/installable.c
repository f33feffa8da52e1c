#include "bake/installable.h"

#include <fcntl.h>
#include <string.h>

#include "bake/tempdir.h"
#include "cache/base/run.h"
#include "cache/name.h"

#define TIMEOUT_MS (600 * 1000)
#define DPKG_FOLDER "var/lib/dpkg"
#define ARCH_LIST_MAX 4096
#define RPM_DATABASE_MAX (UINT64_C(2) << 30)
#define COPY_STEP ((size_t)256 * 1024)
#define MAX_WORDS 64 /* of a command, beside the files */

/* Nothing of this host's configuration counts: it is about this host. */
static const char apt_conf[] =
	"Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n";

/* A question that is being asked. */
struct ask {
	const char *root;
	const char *const *file;
	size_t count;
	struct tempdir scratch;
	struct installable *out;
};

static void end_ask(struct ask *ask)
{
	tempdir_remove(&ask->scratch);
}

static void answer(struct ask *ask, enum installable_answer what, const char *text)
{
	ask->out->answer = what;
	snprintf(ask->out->text, sizeof(ask->out->text), "%.500s", text);
}

/* Runs head and, if wanted, the files. ERR_MISSING: no program of that name is here. */
static int ask_tool(const struct ask *ask, const char *const *head, bool files,
		    struct run_result *result, struct err *err)
{
	AUTO_FREE char *config = must_printf("APT_CONFIG=%s/apt.conf", ask->scratch.path);
	AUTO_FREE const char **argv = must_calloc(MAX_WORDS + ask->count + 1, sizeof(*argv));
	const char *const env[] = { config, NULL };
	const struct run_spec spec = { .argv = argv,
				       .env = env,
				       .timeout_ms = TIMEOUT_MS,
				       .keep = RUN_OUTPUT_MAX,
				       .keep_errors = true };
	size_t count = 0;

	for (; head[count] && count < MAX_WORDS; count++)
		argv[count] = head[count];
	for (size_t i = 0; files && i < ask->count; i++)
		argv[count++] = ask->file[i];
	return run(&spec, result, err);
}

/* What the simulation says, as an answer. */
static void judge(struct ask *ask, const struct run_result *result, const char *program)
{
	struct installable *out = ask->out;
	char text[512], line[256];

	out->unmet = unmet_read(result->output);
	if (result->code == 0) {
		snprintf(text, sizeof(text), "installable without a repository%s%s",
			 out->unmet.removed[0] ? "; this would be removed: " : "",
			 out->unmet.removed);
		answer(ask, INSTALLABLE_YES, text);
	} else if (out->unmet.count) {
		snprintf(text, sizeof(text),
			 "not installable without a repository; missing: %s", out->unmet.text);
		answer(ask, INSTALLABLE_NO, text);
	} else {
		run_last_line(result->output, line, sizeof(line));
		snprintf(text, sizeof(text), "%s: exit %d: %s", program, result->code, line);
		answer(ask, INSTALLABLE_NOT_KNOWN, text);
	}
}

/* The architecture of the image's own dpkg, else this host's: "". */
static void find_arch(struct ask *ask, char out[64])
{
	AUTO_FREE char *admin = must_printf("--admindir=%s/" DPKG_FOLDER, ask->root);
	const char *const argv[] = { "dpkg-query",	     admin,  "-W",
				     "-f=${Architecture}\n", "dpkg", NULL };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	struct err none = { 0 };

	out[0] = '\0';
	if (ask_tool(ask, argv, false, &result, &none) < 0)
		return;
	output = result.output;
	output[strcspn(output, "\n")] = '\0';
	if (result.code == 0 && strlen(output) < 64 && name_is_safe(output))
		strcpy(out, output);
}

/* "amd64,i386": the image's own first, then those that dpkg was told to take as well. */
static char *list_archs(const struct ask *ask, const char *own)
{
	AUTO_FREE char *path = must_printf("%s/" DPKG_FOLDER "/arch", ask->root);
	AUTO_FREE char *text = NULL;
	char *list = must_strdup(own), *rest;
	struct err none = { 0 };
	size_t size;

	if (fs_read_at(AT_FDCWD, path, ARCH_LIST_MAX, &text, &size, &none) < 0)
		return list;
	rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *longer;

		if (!name_is_safe(line) || strcmp(line, own) == 0)
			continue;
		longer = must_printf("%s,%s", list, line);
		free(list);
		list = longer;
	}
	return list;
}

struct words {
	const char *word[MAX_WORDS + 1]; /* owned */
	size_t count;
};

static void free_words(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free((char *)(uintptr_t)words->word[i]);
}
#define AUTO_WORDS AUTO(free_words)

static void add_word(struct words *words, char *word)
{
	if (words->count == MAX_WORDS)
		abort(); /* the tables here are shorter */
	words->word[words->count++] = word;
}

/* apt-get over the image's list of packages, with every other file of its own in the scratch folder. */
static void add_apt(const struct ask *ask, const char *verb, const char *arch,
		    struct words *words)
{
	static const char *const own[] = { "Dir::State", "Dir::Cache", "Dir::Etc", "Dir::Log" };

	add_word(words, must_strdup("apt-get"));
	add_word(words, must_strdup(verb));
	for (size_t i = 0; i < COUNT_OF(own); i++)
		add_word(words, must_printf("-o%s=%s", own[i], ask->scratch.path));
	add_word(words,
		 must_printf("-oDir::State::status=%s/" DPKG_FOLDER "/status", ask->root));
	if (arch[0]) {
		AUTO_FREE char *list = list_archs(ask, arch);

		add_word(words, must_printf("-oAPT::Architecture=%s", arch));
		add_word(words, must_printf("-oAPT::Architectures=%s", list));
	}
	for (size_t i = 0; unmet_apt_options[i]; i++)
		add_word(words, must_strdup(unmet_apt_options[i]));
}

/* Where packages of the image lack something already, apt says no to everything. */
static int is_in_order(struct ask *ask, const char *arch, bool *out, struct err *err)
{
	AUTO_WORDS struct words words = { 0 };
	struct run_result result = { 0 };

	add_apt(ask, "check", arch, &words);
	if (ask_tool(ask, words.word, false, &result, err) < 0)
		return -1;
	free(result.output);
	*out = result.code == 0;
	return 0;
}

static int ask_apt(struct ask *ask, struct err *err)
{
	AUTO_FREE char *status = must_printf("%s/" DPKG_FOLDER "/status", ask->root);
	AUTO_WORDS struct words words = { 0 };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	bool in_order = true;
	char arch[64];

	if (!fs_exists(AT_FDCWD, status)) {
		answer(ask, INSTALLABLE_NOT_KNOWN, "not known: the image has no list of dpkg");
		return 0;
	}
	if (fs_replace(ask->scratch.dir, "apt.conf", apt_conf, sizeof(apt_conf) - 1, 0600,
		       err) < 0)
		return -1;
	find_arch(ask, arch);
	add_apt(ask, "install", arch, &words);
	if (ask_tool(ask, words.word, true, &result, err) < 0)
		return -1;
	output = result.output;
	judge(ask, &result, "apt-get");
	if (ask->out->answer != INSTALLABLE_NO)
		return 0;
	if (is_in_order(ask, arch, &in_order, err) < 0)
		return -1;
	if (!in_order)
		answer(ask, INSTALLABLE_NOT_KNOWN,
		       "not known: packages of the image lack something already");
	return 0;
}

static int copy_fd(int from, int to, struct err *err)
{
	AUTO_FREE char *piece = must_calloc(COPY_STEP, 1);
	uint64_t at = 0;

	for (;;) {
		size_t got;

		if (fs_pread(from, piece, COPY_STEP, at, &got, err) < 0 ||
		    fs_write_all(to, piece, got, err) < 0)
			return -1;
		at += got;
		if (got < COPY_STEP)
			return 0;
		if (at > RPM_DATABASE_MAX)
			return err_set(err, ERR_INVALID,
				       "the image's rpm database is too large");
	}
}

static int copy_file(int from, int to, const char *name, struct err *err)
{
	AUTO_CLOSE int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_CLOSE int out = -1;
	struct stat status;

	if (in < 0 || fstat(in, &status) < 0 || !S_ISREG(status.st_mode))
		return 0; /* links, folders and sockets are no part of a database */
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return out < 0 ? err_errno(err, "create %s", name) : copy_fd(in, out, err);
}

/* Reading a database of SQLite may write beside it: rpm gets a copy. *found: the image has one. */
static int copy_rpm_database(const struct ask *ask, bool *found, struct err *err)
{
	static const char *const folders[] = { "usr/lib/sysimage/rpm", "var/lib/rpm" };
	AUTO_CLOSE int root = -1, to = -1;

	if (fs_open_dir(AT_FDCWD, ask->root, &root, err) < 0 ||
	    fs_make_dir(ask->scratch.dir, "rpm", 0700, &to, err) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(folders) && !*found; i++) {
		AUTO_NAMES struct fs_names names = { 0 };
		AUTO_CLOSE int from = -1;
		struct err none = { 0 };

		if (fs_open_dir_in_root(root, folders[i], false, &from, &none) < 0 ||
		    fs_list(from, ".", &names, &none) < 0)
			continue;
		for (size_t j = 0; j < names.count; j++) {
			if (copy_file(from, to, names.name[j], err) < 0)
				return err_wrap(err, "%s", folders[i]);
		}
		*found = names.count > 0;
	}
	return 0;
}

/* What is no package, rpm takes for a list of packages, and fetches what that names. */
static int check_rpm(const char *file, struct err *err)
{
	static const char lead[] = { '\xed', '\xab', '\xee',
				     '\xdb' }; /* rpm's lead, lib/rpmlead.c */
	char front[sizeof(lead)];
	AUTO_CLOSE int fd = -1;
	size_t got;

	if (fs_open_read(AT_FDCWD, file, &fd, err) < 0 ||
	    fs_pread(fd, front, sizeof(front), 0, &got, err) < 0)
		return -1;
	if (got < sizeof(front) || memcmp(front, lead, sizeof(lead)) != 0)
		return err_set(err, ERR_INVALID, "%s: no rpm package", file);
	return 0;
}

/* Signatures, room and architecture are not asked about: only what the packages build on. */
static int ask_rpm(struct ask *ask, struct err *err)
{
	static const char *const options[] = { "rpm",		"-U",
					       "--test",	"--replacepkgs",
					       "--nosignature", "--ignoresize",
					       "--ignorearch",	"--ignoreos" };
	AUTO_WORDS struct words words = { 0 };
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	bool found = false;

	if (copy_rpm_database(ask, &found, err) < 0)
		return -1;
	if (!found) {
		answer(ask, INSTALLABLE_NOT_KNOWN, "not known: the image has no rpm database");
		return 0;
	}
	for (size_t i = 0; i < ask->count; i++) {
		if (check_rpm(ask->file[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < COUNT_OF(options); i++)
		add_word(&words, must_strdup(options[i]));
	add_word(&words, must_printf("--dbpath=%s/rpm", ask->scratch.path));
	add_word(&words, must_strdup("--"));
	if (ask_tool(ask, words.word, true, &result, err) < 0)
		return -1;
	output = result.output;
	judge(ask, &result, "rpm");
	return 0;
}

static bool all_end_with(const char *const *files, size_t count, const char *tail)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(files[i]);

		if (length <= strlen(tail) ||
		    strcmp(files[i] + length - strlen(tail), tail) != 0)
			return false;
	}
	return count > 0;
}

/* Absolute paths: neither apt nor rpm takes one for an option or for the name of a package. */
static int check_files(const char *const *files, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (files[i][0] != '/')
			return err_set(err, ERR_INVALID, "%s: not an absolute path", files[i]);
	}
	return 0;
}

int installable_check(const char *root, const char *const *files, size_t count,
		      struct installable *out, struct err *err)
{
	struct installable result = { 0 };
	AUTO(end_ask)
	struct ask ask = {
		.file = files, .count = count, .scratch = TEMPDIR_NONE, .out = &result
	};
	AUTO_FREE char *top = realpath(root, NULL);
	bool debs = all_end_with(files, count, ".deb");
	struct err why = { 0 };

	if (count > INSTALLABLE_MAX_FILES)
		return err_set(err, ERR_INVALID, "more than %d packages",
			       INSTALLABLE_MAX_FILES);
	if (!debs && !all_end_with(files, count, ".rpm"))
		return err_set(err, ERR_INVALID, "packages are .deb files, or .rpm files");
	if (check_files(files, count, err) < 0)
		return -1;
	if (!top)
		return err_errno(err, "%s", root);
	ask.root = top;
	if (tempdir_make("installable", &ask.scratch, err) < 0)
		return -1;
	if ((debs ? ask_apt(&ask, &why) : ask_rpm(&ask, &why)) < 0) {
		if (why.kind != ERR_MISSING) {
			*err = why;
			return -1;
		}
		answer(&ask, INSTALLABLE_NOT_KNOWN, why.text);
	}
	*out = result;
	return 0;
}
