#include "tests/unit/support.h"

#include "bake/installable.h"
#include "cache/base/run.h"

#define STANZA(name, version, more)                                                            \
	"Package: " name                                                                       \
	"\nStatus: install ok installed\nArchitecture: amd64\nVersion: " version               \
	"\nMaintainer: a <a@example.org>\n" more "Description: x\n\n"
#define DPKG STANZA("dpkg", "1.21", "")

static void must_run(const struct folder *folder, const char *const *argv)
{
	const struct run_spec spec = {
		.argv = argv, .dir = &folder->fd, .keep = 4096, .keep_errors = true
	};
	struct run_result result = { 0 };
	struct err err = { 0 };

	check_good(run(&spec, &result, &err), &err, argv[0]);
	CHECK(result.code == 0, "%s: %s", argv[0], result.output);
	free(result.output);
}

static void put_at(const struct folder *folder, const char *path, const char *text)
{
	const char *last = strrchr(path, '/');
	AUTO_FREE char *parent = must_printf("%.*s", (int)(last - path), path);
	AUTO_CLOSE int dir = -1;
	struct err err = { 0 };

	check_good(fs_make_dir(folder->fd, parent, 0755, &dir, &err), &err, parent);
	put_text(dir, last + 1, text);
}

/* NAME.deb with these fields beside the usual ones. */
static char *make_deb(const struct folder *folder, const char *name, const char *version,
		      const char *more)
{
	AUTO_FREE char *control = must_printf("build/%s/DEBIAN/control", name);
	AUTO_FREE char *from = must_printf("build/%s", name);
	AUTO_FREE char *text = must_printf("Package: %s\nVersion: %s\nArchitecture: amd64\n"
					   "Maintainer: a <a@example.org>\n%sDescription: x\n",
					   name, version, more);
	char *file = must_printf("%s/%s.deb", folder->path, name);
	const char *const argv[] = { "dpkg-deb", "-b", from, file, NULL };

	put_at(folder, control, text);
	must_run(folder, argv);
	return file;
}

static struct installable ask(const struct folder *folder, const char *const *files,
			      size_t count)
{
	AUTO_FREE char *root = must_printf("%s/root", folder->path);
	struct installable out = { 0 };
	struct err err = { 0 };

	check_good(installable_check(root, files, count, &out, &err), &err, "check");
	return out;
}

static void check(const struct installable *out, enum installable_answer answer,
		  const char *text)
{
	CHECK(out->answer == answer && strstr(out->text, text), "answer %d: %s",
	      (int)out->answer, out->text);
}

static void test_debs(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *app = make_deb(folder, "app", "1", "Depends: base (>= 2), helper\n");
	AUTO_FREE char *base = make_deb(folder, "base", "2", "");
	AUTO_FREE char *helper = make_deb(folder, "helper", "1", "");
	const char *const whole[] = { app, base, helper };
	struct installable out;

	put_at(folder, "root/var/lib/dpkg/status", DPKG);
	out = ask(folder, whole, 3);
	check(&out, INSTALLABLE_YES, "installable without a repository");
	assert_int_equal(out.unmet.name_count, 0);

	out = ask(folder, whole, 2);
	check(&out, INSTALLABLE_NO, "missing: helper for app");
	assert_int_equal(out.unmet.name_count, 1);
	assert_string_equal(out.unmet.name[0], "helper");

	out = ask(folder, whole, 1);
	check(&out, INSTALLABLE_NO, "missing: base (>= 2) for app, helper for app");
	assert_int_equal(out.unmet.name_count, 2);

	/* What the image has counts, in a version that will do. */
	put_at(folder, "root/var/lib/dpkg/status", DPKG STANZA("helper", "7", ""));
	out = ask(folder, whole, 2);
	check(&out, INSTALLABLE_YES, "");
	put_at(folder, "root/var/lib/dpkg/status",
	       DPKG STANZA("helper", "7", "") STANZA("base", "1", ""));
	out = ask(folder, whole, 1);
	check(&out, INSTALLABLE_NO, "base (>= 2) for app");
}

static void test_debs_and_others(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *new = make_deb(folder, "new", "1", "Conflicts: old\nReplaces: old\n");
	AUTO_FREE char *arm = make_deb(folder, "arm", "1", "Depends: lib\n");
	const char *const replaces[] = { new }, *const needs[] = { arm };
	struct installable out;

	put_at(folder, "root/var/lib/dpkg/status", DPKG STANZA("old", "1", ""));
	out = ask(folder, replaces, 1);
	check(&out, INSTALLABLE_YES, "this would be removed: old");

	put_at(folder, "root/var/lib/dpkg/status",
	       DPKG STANZA("sick", "1", "Depends: nowhere\n"));
	out = ask(folder, replaces, 1);
	check(&out, INSTALLABLE_NOT_KNOWN, "packages of the image lack something already");
	out = ask(folder, needs, 1);
	check(&out, INSTALLABLE_NOT_KNOWN, "lack something already");
}

static void test_nothing_to_ask(void **state)
{
	const struct folder *folder = *state;
	const char *const deb[] = { "/x.deb" }, *const rpm[] = { "/x.rpm" };
	const char *const mixed[] = { "/x.deb", "/x.rpm" }, *const relative[] = { "-x.deb" };
	struct installable out;
	struct err err = { 0 };

	put_at(folder, "root/etc/os-release", "ID=other\n");
	out = ask(folder, deb, 1);
	check(&out, INSTALLABLE_NOT_KNOWN, "no list of dpkg");
	out = ask(folder, rpm, 1);
	check(&out, INSTALLABLE_NOT_KNOWN, "no rpm database");
	check_err(installable_check(folder->path, mixed, 2, &out, &err), &err, ERR_INVALID,
		  "packages are", "mixed");
	check_err(installable_check(folder->path, mixed, 0, &out, &err), &err, ERR_INVALID,
		  "packages are", "none");
	check_err(installable_check(folder->path, relative, 1, &out, &err), &err, ERR_INVALID,
		  "not an absolute path", "relative");
	check_err(installable_check("/nowhere/at/all", deb, 1, &out, &err), &err, ERR_SYSTEM,
		  "/nowhere/at/all", "root");
}

/* Nothing in the image changes, and no folder is left. */
/* rpm would read it as a list, and have curl fetch what it names: as root, and on this host. */
static void test_no_package(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *root = must_printf("%s/root", folder->path);
	AUTO_FREE char *list = must_printf("%s/list.rpm", folder->path);
	const char *const files[] = { list };
	struct installable out;
	struct err err = { 0 };

	put_at(folder, "root/var/lib/rpm/.rpm.lock", "");
	put_text(folder->fd, "list.rpm", "file:///etc/hostname\n");
	check_err(installable_check(root, files, 1, &out, &err), &err, ERR_INVALID,
		  "no rpm package", "list");
}

/* Nothing in the image changes, and no folder is left. */
static void test_leaves_all_as_it_was(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *app = make_deb(folder, "app", "1", "");
	AUTO_FREE char *scratch = must_printf("%s/scratch", folder->path);
	AUTO_NAMES struct fs_names names = { 0 }, left = { 0 };
	const char *const files[] = { app };
	struct installable out;
	struct err err = { 0 };

	put_at(folder, "root/var/lib/dpkg/status", DPKG);
	put_at(folder, "scratch/x", "");
	assert_int_equal(setenv("TMPDIR", scratch, 1), 0);
	out = ask(folder, files, 1);
	unsetenv("TMPDIR");
	check(&out, INSTALLABLE_YES, "");
	check_good(fs_list(folder->fd, "root/var/lib/dpkg", &names, &err), &err, "list");
	assert_int_equal(names.count, 1);
	check_good(fs_list(folder->fd, "scratch", &left, &err), &err, "list");
	assert_int_equal(left.count, 1);
}

static char *make_rpm(const struct folder *folder, const char *name, const char *more)
{
	AUTO_FREE char *spec = must_printf("spec/%s.spec", name);
	AUTO_FREE char *text =
		must_printf("Name: %s\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\n"
			    "BuildArch: noarch\n%s%%description\nx\n%%files\n",
			    name, more);
	AUTO_FREE char *top = must_printf("_topdir %s/top", folder->path);
	const char *const argv[] = { "rpmbuild", "-bb", "--define", top, spec, NULL };

	put_at(folder, spec, text);
	must_run(folder, argv);
	return must_printf("%s/top/RPMS/noarch/%s-1-1.noarch.rpm", folder->path, name);
}

static void test_rpms(void **state)
{
	const struct folder *folder = *state;
	AUTO_FREE char *app = make_rpm(folder, "app", "Requires: base, libx.so.1()(64bit)\n");
	AUTO_FREE char *base = make_rpm(folder, "base", "Provides: libx.so.1()(64bit)\n");
	AUTO_FREE char *database = must_printf("--dbpath=%s/root/var/lib/rpm", folder->path);
	const char *const init[] = { "rpm", database, "--initdb", NULL };
	const char *const install[] = { "rpm",		 database, "-U", "--justdb",
					"--nosignature", base,	   NULL };
	const char *const whole[] = { app, base };
	struct installable out;

	put_at(folder, "root/var/lib/rpm/.rpm.lock", "");
	must_run(folder, init);
	out = ask(folder, whole, 2);
	check(&out, INSTALLABLE_YES, "installable without a repository");
	out = ask(folder, whole, 1);
	check(&out, INSTALLABLE_NO, "missing: base for app-1-1.noarch");
	assert_int_equal(out.unmet.name_count, 2);
	assert_string_equal(out.unmet.name[0], "base");
	must_run(folder, install);
	out = ask(folder, whole, 1);
	check(&out, INSTALLABLE_YES, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		folder_test(test_debs),
		folder_test(test_debs_and_others),
		folder_test(test_nothing_to_ask),
		folder_test(test_no_package),
		folder_test(test_leaves_all_as_it_was),
		folder_test(test_rpms),
	};

	return cmocka_run_group_tests_name("installable", tests, NULL, NULL);
}
