#include "bake/embed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "bake/sink.h"
#include "cache/inventory.h"
#include "gen/units.h"

#define AGENT_MAX_BYTES (UINT32_C(64) << 20)
#define FLOOR_MAX_BYTES 32
#define UNIT_DIR "usr/lib/systemd/system"
#define PROGRAM_DIR "usr/libexec/larder"
#define DOWNLOAD "larder-download"

static const char default_conf[] =
	"# larder-firstboot: KEY=VALUE. Files in conf.d/*.conf and larder.KEY=VALUE on the "
	"kernel\n"
	"# command line come after this one. See larder-firstboot(1).\n"
	"#enabled=yes\n"
	"#steps=files,modules,load,packages\n"
	"#carrier_timeout_s=10\n"
	"#step_timeout_s=600\n"
	"#early_budget_s=100\n"
	"#budget_s=840\n"
	"#reload=auto\n"
	"#dependents=warn\n"
	"#volumes=tar\n"
	"#download=yes\n"
	"#sources=https://mirror.example.org/larder,file:/mnt/larder.tar\n"
	"#on_refused=fail\n"
	"#newer=yes\n"
	"#metrics=/var/lib/prometheus/node-exporter/larder.prom\n";

struct job {
	const struct embed_inputs *inputs;
	int root; /* open folder */
	struct cache cache;
	struct inventory inventory;
	struct embed_result result;
};

static bool same_content(int dir, const char *name, const void *data, size_t size, mode_t mode)
{
	AUTO_FREE char *old = NULL;
	struct err none = { 0 };
	struct stat status;
	size_t old_size;

	return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode) && (status.st_mode & 07777) == mode &&
	       (uint64_t)status.st_size == size &&
	       fs_read_at(dir, name, size, &old, &old_size, &none) == 0 && old_size == size &&
	       memcmp(old, data, size) == 0;
}

/* folder is a path in the root; a name there is replaced unless it is the same already. */
static int put_file(struct job *job, const char *folder, const char *name, const void *data,
		    size_t size, mode_t mode, struct err *err)
{
	AUTO_CLOSE int dir = -1;

	if (fs_open_dir_in_root(job->root, folder, true, &dir, err) < 0)
		return -1;
	if (same_content(dir, name, data, size, mode))
		return 0;
	if (fs_replace(dir, name, data, size, mode, err) < 0)
		return err_wrap(err, "/%s", folder);
	job->result.files_written++;
	return 0;
}

static int put_link(struct job *job, const char *folder, const char *name, const char *target,
		    struct err *err)
{
	AUTO_CLOSE int dir = -1;
	char old[FS_PATH_MAX];
	ssize_t length;

	if (fs_open_dir_in_root(job->root, folder, true, &dir, err) < 0)
		return -1;
	length = readlinkat(dir, name, old, sizeof(old));
	if (length == (ssize_t)strlen(target) && memcmp(old, target, (size_t)length) == 0)
		return 0;
	if (fs_replace_link(dir, name, target, err) < 0)
		return err_wrap(err, "/%s", folder);
	job->result.files_written++;
	return 0;
}

/* What an earlier embed put there, and this one leaves out. */
static int remove_file(struct job *job, const char *folder, const char *name, struct err *err)
{
	AUTO_CLOSE int dir = -1;
	struct err why = { 0 };

	if (fs_open_dir_in_root(job->root, folder, false, &dir, &why) < 0) {
		*err = why;
		return why.kind == ERR_MISSING ? 0 : -1;
	}
	if (unlinkat(dir, name, 0) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "/%s/%s", folder, name);
	job->result.files_written++;
	return 0;
}

static int put_program(struct job *job, const char *path, const char *name, const char *option,
		       struct err *err)
{
	AUTO_FREE char *data = NULL;
	size_t size;

	if (fs_read_at(AT_FDCWD, path, AGENT_MAX_BYTES, &data, &size, err) < 0)
		return err_wrap(err, "%s (%s)", name, option);
	if (size < 4 || memcmp(data, "\177ELF", 4) != 0)
		return err_set(err, ERR_INVALID, "%s: not a program (%s)", path, option);
	return put_file(job, PROGRAM_DIR, name, data, size, 0755, err);
}

static int put_programs(struct job *job, struct err *err)
{
	const struct embed_inputs *inputs = job->inputs;

	if (put_program(job, inputs->agent, "larder-firstboot", "--agent", err) < 0)
		return -1;
	if (inputs->download
		    ? put_program(job, inputs->download, DOWNLOAD, "--no-download", err) < 0
		    : remove_file(job, PROGRAM_DIR, DOWNLOAD, err) < 0)
		return -1;
	return put_link(job, "usr/sbin", "larder-firstboot",
			"../libexec/larder/larder-firstboot", err);
}

/* Where what is no unit of systemd goes: hooks, which are run. */
static const struct place {
	const char *name, *folder;
} hooks[] = {
	{ "dkms-larder", "etc/kernel/postinst.d" },
	{ "larder-unstage", "etc/kernel/postrm.d" },
	{ "45-larder.install", "usr/lib/kernel/install.d" },
	{ "50-larder", "etc/cloud/clean.d" }, /* before an image is taken of the machine */
};

static const char *hook_folder(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(hooks); i++) {
		if (strcmp(name, hooks[i].name) == 0)
			return hooks[i].folder;
	}
	return NULL;
}

/* The folder of the link that enables a unit, as systemctl would make it: the one that its WantedBy= asks for. */
static bool wants_folder(const struct unit *unit, char out[FS_NAME_MAX])
{
	const char *line = strstr(unit->text, "\nWantedBy=");
	int length;

	if (!line)
		return false;
	line += strlen("\nWantedBy=");
	length = (int)strcspn(line, "\n");
	snprintf(out, FS_NAME_MAX, "etc/systemd/system/%.*s.wants", length, line);
	return true;
}

static int put_unit(struct job *job, const struct unit *unit, struct err *err)
{
	const char *hook = hook_folder(unit->name);
	char folder[FS_NAME_MAX], target[FS_NAME_MAX];

	if (put_file(job, hook ? hook : UNIT_DIR, unit->name, unit->text, strlen(unit->text),
		     hook ? 0755 : 0644, err) < 0)
		return -1;
	if (!wants_folder(unit, folder))
		return 0;
	snprintf(target, sizeof(target), "/" UNIT_DIR "/%s", unit->name);
	return put_link(job, folder, unit->name, target, err);
}

static int remove_unit(struct job *job, const struct unit *unit, struct err *err)
{
	char folder[FS_NAME_MAX];

	if (wants_folder(unit, folder) && remove_file(job, folder, unit->name, err) < 0)
		return -1;
	return remove_file(job, UNIT_DIR, unit->name, err);
}

/* Without larder-download they would do nothing. */
static bool is_of_download(const struct unit *unit)
{
	return strncmp(unit->name, "larder-download.", 16) == 0 ||
	       strncmp(unit->name, "larder-net.", 11) == 0;
}

static int put_units(struct job *job, struct err *err)
{
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		bool left_out = !job->inputs->download && is_of_download(&units[i]);

		if ((left_out ? remove_unit(job, &units[i], err)
			      : put_unit(job, &units[i], err)) < 0)
			return -1;
	}
	return 0;
}

/* What this image has accepted already: embedding an older cache would lock the machine out of it. */
static int check_floor(const struct job *job, struct err *err)
{
	uint64_t serial = job->cache.statement.serial;
	AUTO_CLOSE int dir = -1, fd = -1;
	AUTO_FREE char *text = NULL;
	struct err why = { 0 };
	unsigned long long floor;
	size_t size;

	if (fs_open_dir_in_root(job->root, "etc/larder", false, &dir, &why) < 0) {
		*err = why;
		return why.kind == ERR_MISSING ? 0 : -1;
	}
	fd = openat(dir, "floor", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "/etc/larder/floor");
	if (fs_read_fd(fd, FLOOR_MAX_BYTES, &text, &size, err) < 0)
		return err_wrap(err, "/etc/larder/floor");
	floor = strtoull(text, NULL, 10);
	if (floor > serial)
		return err_set(
			err, ERR_STALE,
			"%s: serial %llu, but /etc/larder/floor of this image is %llu; bake "
			"with --serial %llu or more",
			job->inputs->cache, (unsigned long long)serial, floor, floor);
	return 0;
}

static int put_trust(struct job *job, struct err *err)
{
	AUTO_FREE char *data = NULL, *floor = NULL;
	AUTO_CLOSE int dir = -1;
	size_t size;

	if (fs_read_at(AT_FDCWD, job->inputs->trust, TRUST_MAX_BYTES, &data, &size, err) < 0)
		return -1;
	if (put_file(job, "etc/larder", "trust.json", data, size, 0644, err) < 0)
		return -1;
	floor = must_printf("%llu\n", (unsigned long long)job->cache.statement.serial);
	if (put_file(job, "etc/larder", "floor", floor, strlen(floor), 0644, err) < 0)
		return -1;
	if (fs_open_dir_in_root(job->root, "etc/larder/conf.d", true, &dir, err) < 0)
		return -1;
	close(take_fd(&dir));
	if (fs_open_dir_in_root(job->root, "etc/larder", true, &dir, err) < 0)
		return -1;
	if (fs_exists(dir, "firstboot.conf"))
		return 0;
	return put_file(job, "etc/larder", "firstboot.conf", default_conf, strlen(default_conf),
			0644, err);
}

static int put_cache(struct job *job, struct err *err)
{
	struct carry_progress progress = { .log = job->inputs->log, .what = "embed" };
	AUTO_CARRY_PLAN struct carry_plan plan = { .item = NULL };
	AUTO_LAYOUT struct layout to = LAYOUT_NONE;
	AUTO_SINK struct sink sink = { .kind = NULL };
	AUTO_CLOSE int dir = -1;

	if (carry_plan_make(&job->cache, &job->inventory, &plan, err) < 0)
		return err_wrap(err, "%s", job->inputs->cache);
	if (fs_open_dir_in_root(job->root, "usr/lib/larder/cache", true, &dir, err) < 0)
		return -1;
	if (layout_create(dir, ".", &to, err) < 0)
		return err_wrap(err, "/usr/lib/larder/cache");
	sink = sink_folder(&to);
	if (carry(&plan, &sink, &progress, err) < 0)
		return err_wrap(err, "%s", job->inputs->cache);
	job->result.files_written += sink.counts.written + sink.counts.changed;
	job->result.bytes = plan.bytes;
	job->result.bundles = job->inventory.bundle_count;
	job->result.carried = inventory_carried(&job->inventory);
	job->result.serial = job->cache.statement.serial;
	return 0;
}

/* The floor comes last: until then an image that lost power here accepts what it accepted before. */
static int embed_with(struct job *job, struct err *err)
{
	const struct embed_inputs *inputs = job->inputs;
	struct trust trust;

	if (trust_load(AT_FDCWD, inputs->trust, &trust, err) < 0)
		return -1;
	if (cache_open(AT_FDCWD, inputs->cache, &trust, 0, &job->cache, err) < 0)
		return -1;
	if (inventory_read(&job->cache, &job->inventory, err) < 0 ||
	    inventory_must_select(&job->inventory, &job->cache.statement, inputs->select, err) <
		    0)
		return err_wrap(err, "%s", inputs->cache);
	if (fs_open_dir(AT_FDCWD, inputs->root, &job->root, err) < 0)
		return -1;
	if (check_floor(job, err) < 0)
		return -1;
	if (put_cache(job, err) < 0 || put_programs(job, err) < 0 || put_units(job, err) < 0)
		return -1;
	return put_trust(job, err);
}

int embed(const struct embed_inputs *inputs, struct embed_result *out_result, struct err *err)
{
	struct job job = { .inputs = inputs, .root = -1, .cache = { .layout = LAYOUT_NONE } };
	int code = embed_with(&job, err);

	inventory_free(&job.inventory);
	cache_close(&job.cache);
	if (job.root >= 0)
		close(job.root);
	if (code < 0)
		return err_wrap(err, "%s", inputs->root);
	*out_result = job.result;
	return 0;
}
