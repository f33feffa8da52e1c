/* sysroot.h - a fake machine for tests, in a folder of its own. */
#ifndef LARDER_TEST_SYSROOT_H
#define LARDER_TEST_SYSROOT_H

#include "tests/unit/support.h"

#include "cache/facts.h"
#include "firstboot/machine.h"

#define SYSROOT_NIC "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"

struct sysroot {
	struct folder *folder;
	struct machine machine;
};

static inline int sysroot_make(void **state)
{
	struct sysroot *sysroot = must_calloc(1, sizeof(*sysroot));
	struct err err = { 0 };

	folder_make((void **)&sysroot->folder);
	sysroot->machine = (struct machine)MACHINE_NONE;
	check_good(machine_open(sysroot->folder->path, &sysroot->machine, &err), &err, "open");
	check_good(machine_make_folders(&sysroot->machine, &err), &err, "folders");
	*state = sysroot;
	return 0;
}

static inline int sysroot_drop(void **state)
{
	struct sysroot *sysroot = *state;

	machine_close(&sysroot->machine);
	folder_drop((void **)&sysroot->folder);
	free(sysroot);
	return 0;
}

#define sysroot_test(function)                                                                 \
	cmocka_unit_test_setup_teardown(function, sysroot_make, sysroot_drop)

static inline int sysroot_folder(const struct sysroot *sysroot, const char *path)
{
	struct err err = { 0 };
	int fd = -1;

	assert_int_equal(machine_make_dir(&sysroot->machine, path, &fd, &err), 0);
	return fd;
}

/* Opens the folder of path; path then is the last component. */
static inline int sysroot_parent(const struct sysroot *sysroot, const char **path)
{
	const char *last = strrchr(*path, '/');
	char *folder = must_printf("%.*s", last ? (int)(last - *path) : 1, last ? *path : ".");
	int fd = sysroot_folder(sysroot, folder);

	free(folder);
	*path = last ? last + 1 : *path;
	return fd;
}

static inline void sysroot_write(const struct sysroot *sysroot, const char *path,
				 const void *data, size_t size)
{
	AUTO_CLOSE int dir = sysroot_parent(sysroot, &path);
	struct err err = { 0 };

	assert_int_equal(fs_replace(dir, path, data, size, 0644, &err), 0);
}

static inline void sysroot_text(const struct sysroot *sysroot, const char *path,
				const char *text)
{
	sysroot_write(sysroot, path, text, strlen(text));
}

static inline void sysroot_link(const struct sysroot *sysroot, const char *path,
				const char *target)
{
	AUTO_CLOSE int dir = sysroot_parent(sysroot, &path);

	unlinkat(dir, path, 0);
	assert_int_equal(symlinkat(target, dir, path), 0);
}

/* The text of a file, which the caller frees, or NULL. */
static inline char *sysroot_read(const struct sysroot *sysroot, const char *path)
{
	struct err err = { 0 };
	char *data = NULL;
	size_t size;

	return machine_read(&sysroot->machine, path, 1 << 20, &data, &size, &err) < 0 ? NULL
										      : data;
}

/* A device as sysfs has it: the bus folder holds links. driver and interface may be NULL. */
static inline void sysroot_device(const struct sysroot *sysroot, const char *bus,
				  const char *address, const char *modalias, const char *driver,
				  const char *interface)
{
	AUTO_FREE char *folder = must_printf("sys/devices/top/%s", address);
	AUTO_FREE char *file = must_printf("%s/modalias", folder);
	AUTO_FREE char *entry = must_printf("sys/bus/%s/devices/%s", bus, address);
	AUTO_FREE char *target = must_printf("../../../devices/top/%s", address);
	AUTO_FREE char *text = must_printf("%s\n", modalias);

	sysroot_text(sysroot, file, text);
	sysroot_link(sysroot, entry, target);
	if (driver) {
		AUTO_FREE char *link = must_printf("%s/driver", folder);
		AUTO_FREE char *to = must_printf("../../../bus/%s/drivers/%s", bus, driver);

		sysroot_link(sysroot, link, to);
	}
	if (interface) {
		AUTO_FREE char *flags = must_printf("%s/net/%s/flags", folder, interface);

		sysroot_text(sysroot, flags, "0x1002\n");
	}
}

#endif
