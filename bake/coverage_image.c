#include "bake/coverage_image.h"

#include <fcntl.h>
#include <string.h>

#include "cache/base/fs.h"
#include "cache/kernels.h"
#include "cache/os_release.h"

/* ELF: e_machine, two bytes at 18. Source: System V ABI, chapter 4. */
#define ELF_MACHINE_AT 18
#define ELF_FRONT_BYTES 20

static const struct {
	unsigned char machine;
	const char *arch;
} machines[] = { { 62, "x86_64" }, { 183, "aarch64" } };

static int read_in(int root, const char *folder, const char *name, char **out_text,
		   struct err *err)
{
	AUTO_CLOSE int dir = -1;
	size_t size;

	if (fs_open_dir_in_root(root, folder, false, &dir, err) < 0)
		return -1;
	return fs_read_at(dir, name, OS_RELEASE_MAX_BYTES, out_text, &size, err);
}

static void read_os(int root, struct facts *facts)
{
	static const char *const folders[] = { "etc", "usr/lib" };
	static const char *const releases[] = { "redhat-release", "centos-release" };
	struct err none = { 0 };

	for (size_t i = 0; i < COUNT_OF(folders) && !facts->os_id[0]; i++) {
		AUTO_FREE char *text = NULL;

		if (read_in(root, folders[i], "os-release", &text, &none) == 0)
			os_release_parse(text, facts);
	}
	for (size_t i = 0; i < COUNT_OF(releases); i++) {
		AUTO_FREE char *text = NULL;

		if (read_in(root, "etc", releases[i], &text, &none) == 0)
			os_release_refine(text, facts);
	}
}

static void read_arch(int root, struct facts *facts)
{
	static const char *const programs[] = { "bash", "dash", "busybox", "cp" };
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (fs_open_dir_in_root(root, "bin", false, &dir, &none) < 0)
		return;
	for (size_t i = 0; i < COUNT_OF(programs) && !facts->arch[0]; i++) {
		AUTO_CLOSE int fd = -1;
		unsigned char front[ELF_FRONT_BYTES];
		size_t got;

		if (fs_open_read(dir, programs[i], &fd, &none) < 0 ||
		    fs_pread(fd, front, sizeof(front), 0, &got, &none) < 0 ||
		    got < sizeof(front) || memcmp(front, "\177ELF", 4) != 0)
			continue;
		for (size_t j = 0; j < COUNT_OF(machines); j++) {
			if (front[ELF_MACHINE_AT] == machines[j].machine)
				snprintf(facts->arch, sizeof(facts->arch), "%s",
					 machines[j].arch);
		}
	}
}

int coverage_image_read(const char *path, struct facts *out_facts, struct err *err)
{
	AUTO_FACTS struct facts facts = { .family = "linux" };
	AUTO_CLOSE int root = -1, modules = -1;
	struct err none = { 0 };

	if (fs_open_dir(AT_FDCWD, path, &root, err) < 0)
		return -1;
	read_os(root, &facts);
	if (!facts.os_id[0])
		return err_set(err, ERR_INVALID, "%s: no etc/os-release that names an OS",
			       path);
	read_arch(root, &facts);
	if (fs_open_dir_in_root(root, "lib/modules", false, &modules, &none) == 0)
		kernels_read(modules, &facts);
	if (facts.kernel_count == 0)
		return err_set(err, ERR_INVALID, "%s: no kernel in lib/modules", path);
	*out_facts = facts;
	facts = (struct facts) { 0 };
	return 0;
}
