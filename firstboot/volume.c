#include "firstboot/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "cache/layout_tar.h"

#define BLOCK_FOLDER "/sys/class/block"
#define LABEL_FOLDER "/dev/disk/by-label"
#define MOUNT_NAME "volume" /* in /run/larder */
#define UEVENT_MAX 4096
#define CACHE_TAR "cache.tar"

/* Devices of the kernel's own, and those that another one stands behind. */
static bool name_is_virtual(const char *name)
{
	static const char *const begin[] = { "loop", "ram", "zram", "fd",    "dm-",
					     "md",   "nbd", "mtd",  "bcache" };

	for (size_t i = 0; i < COUNT_OF(begin); i++) {
		if (strncmp(name, begin[i], strlen(begin[i])) == 0)
			return true;
	}
	return false;
}

/* A whole disk may begin with our tar; of partitions only one that is named for it. */
static bool may_hold_tar(const struct machine *machine, const char *name)
{
	AUTO_FREE char *part = must_printf(BLOCK_FOLDER "/%s/partition", name);
	AUTO_FREE char *uevent = must_printf(BLOCK_FOLDER "/%s/uevent", name);
	AUTO_FREE char *size = must_printf(BLOCK_FOLDER "/%s/size", name);
	char text[UEVENT_MAX];
	const char *label;

	machine_attribute(machine, size, text, sizeof(text));
	if (text[0] == '\0' || strcmp(text, "0") == 0)
		return false;
	if (!machine_has(machine, part))
		return true;
	machine_attribute(machine, uevent, text, sizeof(text));
	label = strstr(text, "\nPARTNAME=" VOLUME_LABEL);
	return label && strchr("\n", label[strlen("\nPARTNAME=" VOLUME_LABEL)]);
}

/* O_NONBLOCK: a drive does not draw its tray in for this. */
static int open_device(const struct machine *machine, const char *name, int *out_fd,
		       struct err *err)
{
	AUTO_CLOSE int dev = -1, fd = -1;
	struct stat status;

	if (machine_open_dir(machine, "/dev", &dev, err) < 0)
		return -1;
	fd = openat(dev, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status) < 0)
		return err_errno(err, "open /dev/%s", name);
	if (!S_ISBLK(status.st_mode))
		return err_set(err, ERR_INVALID, "/dev/%s: no block device", name);
	*out_fd = take_fd(&fd);
	return 0;
}

/* False: it does not begin with our tar. */
static bool open_tar(const struct machine *machine, const char *name, struct volume *out)
{
	AUTO_FREE char *path = must_printf("/dev/%s", name);
	AUTO_CLOSE int fd = -1;
	char front[TAR_BLOCK_BYTES];
	struct err none = { 0 };
	size_t got;

	if (open_device(machine, name, &fd, &none) < 0 ||
	    fs_pread(fd, front, sizeof(front), 0, &got, &none) < 0 || got < sizeof(front) ||
	    !layout_tar_is_front(front))
		return false;
	if (layout_open_device(take_fd(&fd), path, &out->layout, &out->err) < 0)
		out->layout = (struct layout)LAYOUT_NONE;
	return true;
}

/* --- a file system ------------------------------------------------------------------------------ */

/* Nothing is written to them, their journals neither; and what one says of errors in it, such as a panic, is not obeyed. */
static const struct {
	const char *type, *options;
} file_systems[] = {
	{ "iso9660", "" },
	{ "udf", "" },
	{ "vfat", "" },
	{ "exfat", "" },
	{ "ext4", "noload,errors=continue" },
	{ "xfs", "norecovery" },
};

static int mount_as_any(const char *device, const char *place, struct err *err)
{
	const unsigned long flags = MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC;

	for (size_t i = 0; i < COUNT_OF(file_systems); i++) {
		if (mount(device, place, file_systems[i].type, flags,
			  file_systems[i].options) == 0)
			return 0;
		if (errno != EINVAL && errno != ENODEV)
			return err_errno(err, "mount as %s", file_systems[i].type);
	}
	return err_set(err, ERR_INVALID, "no file system that is mounted here");
}

/* Once its folder is open, the mount lasts as long as that, and nobody else sees it. */
static int open_mounted(const struct machine *machine, const char *device, int *out_fd,
			struct err *err)
{
	AUTO_FREE char *place = must_printf("%s/" MACHINE_RUN "/" MOUNT_NAME,
					    machine->whole ? "" : machine->path);
	AUTO_FREE char *path =
		must_printf("%s/dev/%s", machine->whole ? "" : machine->path, device);
	int code;

	if (machine->run < 0)
		return err_set(err, ERR_MISSING, "only a run mounts it");
	(void)umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW);
	if (mkdirat(machine->run, MOUNT_NAME, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make folder /" MACHINE_RUN "/" MOUNT_NAME);
	code = mount_as_any(path, place, err);
	if (code == 0)
		code = fs_open_dir(machine->run, MOUNT_NAME, out_fd, err);
	(void)umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)unlinkat(machine->run, MOUNT_NAME, AT_REMOVEDIR);
	return code;
}

/* Its folder is a cache, or has cache.tar. */
static int mount_volume(const struct machine *machine, const char *device, struct layout *out,
			struct err *err)
{
	AUTO_CLOSE int folder = -1;
	struct err no_folder = { 0 };

	if (open_mounted(machine, device, &folder, err) < 0)
		return -1;
	if (layout_open_folder(folder, device, out, &no_folder) == 0)
		return 0;
	if (no_folder.kind == ERR_MISSING)
		return layout_open(folder, CACHE_TAR, out, err);
	*err = no_folder;
	return -1;
}

/* The device that has a file system of our label, if it was not used as a tar. */
static bool find_label(const struct machine *machine, const struct volume *used, size_t count,
		       char out[FS_NAME_MAX])
{
	AUTO_CLOSE int folder = -1;
	struct err none = { 0 };

	if (machine_open_dir(machine, LABEL_FOLDER, &folder, &none) < 0)
		return false;
	fs_link_name(folder, VOLUME_LABEL, out, FS_NAME_MAX);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(used[i].device, out) == 0)
			return false;
	}
	return out[0] != '\0';
}

static void open_labelled(const struct machine *machine, enum config_volumes how,
			  struct volume *out)
{
	if (how != CONFIG_VOLUMES_MOUNT)
		err_set(&out->err, ERR_REFUSED,
			"a file system, which only volumes=mount would have mounted");
	else if (mount_volume(machine, out->device, &out->layout, &out->err) < 0)
		out->layout = (struct layout)LAYOUT_NONE;
}

static struct volume new_volume(const char *device)
{
	struct volume volume = { .layout = LAYOUT_NONE };

	snprintf(volume.device, sizeof(volume.device), "%s", device);
	return volume;
}

static size_t open_tars(const struct machine *machine, struct volume out[VOLUME_MAX])
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int folder = -1;
	struct err none = { 0 };
	size_t count = 0;

	if (machine_open_dir(machine, BLOCK_FOLDER, &folder, &none) < 0 ||
	    fs_list(folder, ".", &names, &none) < 0)
		return 0;
	for (size_t i = 0; i < names.count && count < VOLUME_MAX; i++) {
		const char *name = names.name[i];

		out[count] = new_volume(name);
		if (!name_is_virtual(name) && may_hold_tar(machine, name) &&
		    open_tar(machine, name, &out[count]))
			count++;
	}
	return count;
}

size_t volumes_open(const struct machine *machine, enum config_volumes how,
		    struct volume out[VOLUME_MAX])
{
	char device[FS_NAME_MAX];
	size_t count;

	if (how == CONFIG_VOLUMES_NO)
		return 0;
	count = open_tars(machine, out);
	if (count < VOLUME_MAX && find_label(machine, out, count, device)) {
		out[count] = new_volume(device);
		open_labelled(machine, how, &out[count++]);
	}
	return count;
}
