/* rpmbuild puts it together: the format of an rpm is rpm's own matter. */
#include <string.h>

#include "bake/package.h"
#include "cache/base/run.h"

#define SPEC_NAME "cache.spec"
#define OUTPUT_KEPT 65536

/* Nothing here comes from outside but name, numbers and a plain path. */
static char *spec_text(const struct package *package, const char *top)
{
	return must_printf("Name: %s\n"
			   "Version: %llu\n"
			   "Release: 1\n"
			   "Summary: %s\n"
			   "License: LicenseRef-larder-cache\n"
			   "BuildArch: noarch\n"
			   "AutoReqProv: no\n"
			   "%%description\n%s\n"
			   "Serial %llu; %zu of %zu bundles are carried.\n"
			   "%%install\n"
			   "mkdir -p %%{buildroot}/" PACKAGE_FOLDER "\n"
			   "ln %s/%s.tar %%{buildroot}/" PACKAGE_FOLDER "/\n"
			   "%%files\n"
			   "%%dir /" PACKAGE_FOLDER "\n"
			   "%%attr(0644, root, root) /" PACKAGE_FOLDER "/%s.tar\n"
			   "%%post\n%s",
			   package->name, (unsigned long long)package->serial, package_summary,
			   package_text, (unsigned long long)package->serial, package->carried,
			   package->bundles, top, package->file, package->file, package_script);
}

/* The same cache is the same rpm: no host, no clock, no packing, and none of the host's own passes over files. */
static int run_rpmbuild(const struct package *package, const char *top, struct err *err)
{
	AUTO_FREE char *topdir = must_printf("_topdir %s", top);
	AUTO_FREE char *rpmdir = must_printf("_rpmdir %s", top);
	AUTO_FREE char *tmp = must_printf("_tmppath %s", top);
	AUTO_FREE char *spec = must_printf("%s/" SPEC_NAME, top);
	AUTO_FREE char *epoch = must_printf("SOURCE_DATE_EPOCH=%lld", (long long)package->time);
	const char *const argv[] = { "rpmbuild",
				     "-bb",
				     "--quiet",
				     "--target",
				     "noarch",
				     "--define",
				     topdir,
				     "--define",
				     rpmdir,
				     "--define",
				     tmp,
				     "--define",
				     "_buildhost larder",
				     "--define",
				     "use_source_date_epoch_as_buildtime 1",
				     "--define",
				     "clamp_mtime_to_source_date_epoch 1",
				     "--define",
				     "_binary_payload w.ufdio",
				     "--define",
				     "__os_install_post %{nil}",
				     "--define",
				     "_build_id_links none",
				     "--define",
				     "debug_package %{nil}",
				     "--define",
				     "_build_name_fmt built.rpm",
				     spec,
				     NULL };
	const char *const env[] = { epoch, NULL };
	const struct run_spec what = {
		.argv = argv, .env = env, .keep = OUTPUT_KEPT, .keep_errors = true
	};
	struct run_result result = { 0 };
	AUTO_FREE char *output = NULL;
	char line[256];

	if (run(&what, &result, err) < 0) {
		if (err->kind == ERR_MISSING)
			return err_set(err, ERR_MISSING,
				       "an rpm needs rpmbuild: install rpm-build (Debian, "
				       "Ubuntu: rpm)");
		return -1;
	}
	output = result.output;
	if (result.code == 0)
		return 0;
	run_last_line(output, line, sizeof(line));
	return err_set(err, ERR_INVALID, "rpmbuild: exit %d: %s", result.code, line);
}

int package_rpm_build(const struct package *package, int top, const char *top_path,
		      char **out_path, struct err *err)
{
	AUTO_FREE char *spec = spec_text(package, top_path);

	if (fs_replace(top, SPEC_NAME, spec, strlen(spec), 0644, err) < 0 ||
	    run_rpmbuild(package, top_path, err) < 0)
		return -1;
	*out_path = must_strdup("built.rpm");
	return 0;
}
