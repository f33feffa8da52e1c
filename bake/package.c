#include "bake/package.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "bake/sink.h"

#define PREFIX "larder-cache-"

const char package_summary[] = "signed cache of drivers for this site's machines";
const char package_text[] =
	"Driver bundles that larder-firstboot installs from, where the trust root of\n"
	"the machine proves them. This package installs none of them itself.";

/* A restart of larder-firstboot.service would stop whatever requires larder-ready.target. */
const char package_script[] =
	"agent=/usr/libexec/larder/larder-firstboot\n"
	"# No driver is installed within this transaction: a run of its own waits for its "
	"end.\n"
	"if [ -d /run/systemd/system ] && [ -x $agent ] && [ -e /etc/larder/trust.json ]; "
	"then\n"
	"\tsystemd-run --no-block --quiet --property=Type=oneshot \\\n"
	"\t\t--property=TimeoutStartSec=900 \"--property=SuccessExitStatus=11 12 13\" \\\n"
	"\t\t--description=\"larder: drivers of a new cache\" $agent run || :\n"
	"fi\n";

static int64_t time_of(const char *created)
{
	struct tm tm = { 0 };

	return strptime(created, "%Y-%m-%dT%H:%M:%SZ", &tm) ? (int64_t)timegm(&tm) : 0;
}

void package_describe(const struct carry_plan *plan, struct package *out)
{
	const struct statement *statement = &plan->cache->statement;
	struct package package = { .serial = statement->serial,
				   .time = time_of(statement->created),
				   .bytes = sink_tar_bytes(plan),
				   .bundles = plan->inventory->bundle_count,
				   .carried = inventory_carried(plan->inventory) };

	*out = package;
	snprintf(out->name, sizeof(out->name), PREFIX "%.128s", statement->name);
	for (char *at = out->name; *at; at++) {
		*at = (char)tolower(*at);
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789+.-", *at))
			*at = '-';
	}
	out->file = out->name + strlen(PREFIX);
}

/* The tar's own bytes, to where an open file stands. */
static int write_tar(int fd, const struct carry_plan *plan, struct carry_progress *progress,
		     struct carry_counts *out_counts, struct err *err)
{
	struct outlet outlet = OUTLET_NONE;
	AUTO_SINK struct sink sink = { .kind = NULL };

	outlet.fd = fd;
	sink = sink_tar(&outlet);
	if (carry(plan, &sink, progress, err) < 0)
		return -1;
	*out_counts = sink.counts;
	return 0;
}

static int write_zeros(int fd, size_t size, struct err *err)
{
	AUTO_FREE char *zeros = must_calloc(size, 1);

	return fs_write_all(fd, zeros, size, err);
}

static int write_deb(const struct package *package, int dir, const char *name,
		     const struct carry_plan *plan, struct carry_progress *progress,
		     struct carry_counts *out_counts, struct err *err)
{
	AUTO_DRAFT struct fs_draft draft = FS_DRAFT_NONE;
	AUTO_FREE char *front = NULL;
	size_t size;

	if (package_deb_front(package, &front, &size, err) < 0 ||
	    fs_draft_open(&draft, dir, name, 0644, err) < 0 ||
	    fs_write_all(draft.fd, front, size, err) < 0 ||
	    write_tar(draft.fd, plan, progress, out_counts, err) < 0 ||
	    write_zeros(draft.fd, package_deb_rest(package), err) < 0)
		return -1;
	return fs_draft_commit(&draft, err);
}

/* --- rpm ---------------------------------------------------------------------------------------- */

/* What rpmbuild puts into its scripts unquoted. */
static int check_plain(const char *path, struct err *err)
{
	for (const char *at = path; *at; at++) {
		if (!isalnum(*at) && !strchr("/._+-", *at))
			return err_set(err, ERR_USAGE,
				       "%s: rpmbuild cannot work below a folder with '%c' in "
				       "its path: write the rpm elsewhere",
				       path, *at);
	}
	return 0;
}

/* Beside the target: there is room for it, or nowhere. */
struct top {
	int parent; /* borrowed */
	int dir;
	char name[FS_NAME_MAX];
	char path[FS_PATH_MAX];
};

static void top_remove(struct top *top)
{
	struct err none = { 0 };

	if (top->dir >= 0)
		close(top->dir);
	if (top->name[0] && fs_remove_tree(top->parent, top->name, &none) < 0)
		return; /* a folder of ours stays behind; the next run of this name takes it */
}

static int top_make(struct top *top, int parent, const char *name, struct err *err)
{
	char self[64], folder[FS_PATH_MAX];
	ssize_t length;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", parent);
	length = readlink(self, folder, sizeof(folder) - 1);
	if (length < 0)
		return err_errno(err, "%s", name);
	folder[length] = '\0';
	if (check_plain(folder, err) < 0 || check_plain(name, err) < 0)
		return -1;
	top->parent = parent;
	snprintf(top->name, sizeof(top->name), ".%.200s.build", name);
	snprintf(top->path, sizeof(top->path), "%.3500s/%s", folder, top->name);
	if (fs_remove_tree(parent, top->name, err) < 0)
		return -1;
	return fs_make_dir_beneath(parent, top->name, 0700, &top->dir, err);
}

static int put_tar(const struct package *package, int dir, const struct carry_plan *plan,
		   struct carry_progress *progress, struct carry_counts *out_counts,
		   struct err *err)
{
	AUTO_FREE char *name = must_printf("%s.tar", package->file);
	AUTO_CLOSE int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 || fchmod(fd, 0644) < 0)
		return err_errno(err, "%s", name);
	return write_tar(fd, plan, progress, out_counts, err);
}

static int put_in_place(int top, const char *built, int dir, const char *name, struct err *err)
{
	AUTO_CLOSE int fd = openat(top, built, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fchmod(fd, 0644) < 0 || fsync(fd) < 0 ||
	    renameat(top, built, dir, name) < 0)
		return err_errno(err, "%s", name);
	return fs_sync_dir(dir, err);
}

static int write_rpm(const struct package *package, int dir, const char *name,
		     const struct carry_plan *plan, struct carry_progress *progress,
		     struct carry_counts *out_counts, struct err *err)
{
	AUTO(top_remove) struct top top = { .dir = -1 };
	AUTO_FREE char *built = NULL;

	if (top_make(&top, dir, name, err) < 0 ||
	    put_tar(package, top.dir, plan, progress, out_counts, err) < 0 ||
	    package_rpm_build(package, top.dir, top.path, &built, err) < 0)
		return -1;
	return put_in_place(top.dir, built, dir, name, err);
}

int package_write(enum package_kind kind, const char *path, const struct carry_plan *plan,
		  struct carry_progress *progress, struct carry_counts *out_counts,
		  struct err *err)
{
	AUTO_FREE char *name = NULL;
	AUTO_CLOSE int dir = -1;
	struct package package;

	package_describe(plan, &package);
	if (outlet_split_path(path, &dir, &name, err) < 0)
		return -1;
	switch (kind) {
	case PACKAGE_DEB:
		return write_deb(&package, dir, name, plan, progress, out_counts, err);
	case PACKAGE_RPM:
		return write_rpm(&package, dir, name, plan, progress, out_counts, err);
	}
	abort();
}
