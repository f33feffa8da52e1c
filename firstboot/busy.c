#include "firstboot/busy.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sysmacros.h>

#define TABLE_MAX_BYTES (UINT32_C(16) << 20) /* of one file in /proc */
#define IFF_UP_BIT 0x1UL /* linux/if.h IFF_UP */
#define SLAVES_MAX_DEPTH 8
#define RDMA_NODES "/dev/infiniband/"

/* A question about one device; text is empty until the answer is yes. */
struct look {
	const struct machine *machine;
	char path[FS_PATH_MAX]; /* "devices/pci0000:00/0000:00:02.0" */
	int device; /* its folder */
	char *text; /* BUSY_TEXT_MAX */
};

static bool PRINTF_LIKE(2, 3) say(const struct look *look, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(look->text, BUSY_TEXT_MAX, format, args);
	va_end(args);
	return true;
}

/* Where a link of /sys leads, from /sys on: "devices/pci0000:00/...". */
static bool sys_target(const struct machine *machine, const char *folder, const char *name,
		       char out[FS_PATH_MAX])
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	char link[FS_PATH_MAX];
	const char *at = link;
	ssize_t length;

	if (machine_open_dir(machine, folder, &dir, &none) < 0)
		return false;
	length = readlinkat(dir, name, link, sizeof(link) - 1);
	if (length <= 0)
		return false;
	link[length] = '\0';
	while (strncmp(at, "../", 3) == 0)
		at += 3;
	snprintf(out, FS_PATH_MAX, "%s", at);
	return strncmp(out, "devices/", 8) == 0;
}

static bool is_beneath(const struct look *look, const char *path)
{
	size_t length = strlen(look->path);

	return strncmp(path, look->path, length) == 0 && path[length] == '/';
}

/* Calls look_at for every line of a file until it says true. *out_read: it could be read. */
static bool any_line(const struct look *look, const char *path, const char *name,
		     bool (*look_at)(const struct look *look, const char *name, char *line),
		     bool *out_read)
{
	AUTO_FREE char *text = NULL;
	struct err none = { 0 };
	char *rest;
	size_t size;

	*out_read =
		machine_read(look->machine, path, TABLE_MAX_BYTES, &text, &size, &none) == 0;
	if (!*out_read)
		return false;
	rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (look_at(look, name, line))
			return true;
	}
	return false;
}

/* The word of a line with this number, from 0, cut out of it; "" where there are fewer. */
static const char *word_of(char *line, size_t number)
{
	for (char *word = strsep(&line, " \t"); word; word = strsep(&line, " \t")) {
		if (word[0] && number-- == 0)
			return word;
	}
	return "";
}

/* --- network ------------------------------------------------------------------------------------------ */

/* /proc/net/route: "eth0 DESTINATION GATEWAY ..."; an address brings the route of its network. */
static bool is_route(const struct look *look, const char *name, char *line)
{
	if (strcmp(word_of(line, 0), name) != 0)
		return false;
	return say(look, "%s is up and has a route or an address", name);
}

/* /proc/net/if_inet6: "ADDRESS INDEX PREFIX SCOPE FLAGS NAME". */
static bool is_address6(const struct look *look, const char *name, char *line)
{
	if (strcmp(word_of(line, 5), name) != 0)
		return false;
	return say(look, "%s is up and has an IPv6 address", name);
}

/* /proc/net/ipv6_route: ten words, the last is the interface. Multicast is everywhere. */
static bool is_route6(const struct look *look, const char *name, char *line)
{
	if (strncmp(line, "ff", 2) == 0 || strcmp(word_of(line, 9), name) != 0)
		return false;
	return say(look, "%s is up and has an IPv6 route", name);
}

struct route {
	uint32_t destination,
		mask; /* as /proc/net/route prints them: one number, in memory's order */
};

struct addresses {
	struct route *route; /* owned */
	size_t count;
};

static void read_routes(const struct machine *machine, struct addresses *out)
{
	AUTO_FREE char *text = NULL;
	struct err none = { 0 };
	char *rest;
	size_t size;

	if (machine_read(machine, "proc/net/route", TABLE_MAX_BYTES, &text, &size, &none) < 0)
		return;
	rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		unsigned destination, gateway, mask;

		if (sscanf(line, "%*s %x %x %*x %*s %*s %*s %x", &destination, &gateway,
			   &mask) != 3 ||
		    gateway || !mask)
			continue;
		out->route = must_realloc(out->route, out->count + 1, sizeof(*out->route));
		out->route[out->count++] = (struct route) { destination, mask };
	}
}

static bool has_network(const struct addresses *addresses, const uint8_t octet[4])
{
	uint32_t address;

	memcpy(&address, octet, sizeof(address));
	for (size_t i = 0; i < addresses->count; i++) {
		const struct route *route = &addresses->route[i];

		if ((address & route->mask) == route->destination)
			return true;
	}
	return false;
}

/* An IPv4 address without a route of its own (/32): fib_trie has it and does not say whose it is. */
static bool is_anybodys_address(const struct look *look, const char *name)
{
	AUTO_FREE char *text = NULL;
	struct addresses addresses = { 0 };
	struct err none = { 0 };
	uint8_t octet[4] = { 0 };
	bool found = false;
	char *rest;
	size_t size;

	if (machine_read(look->machine, "proc/net/fib_trie", TABLE_MAX_BYTES, &text, &size,
			 &none) < 0)
		return say(look, "/proc/net/fib_trie cannot be read");
	read_routes(look->machine, &addresses);
	rest = text;
	for (char *line = strsep(&rest, "\n"); line && !found; line = strsep(&rest, "\n")) {
		const char *leaf = strstr(line, "|-- ");

		if (leaf)
			sscanf(leaf + 4, "%hhu.%hhu.%hhu.%hhu", &octet[0], &octet[1], &octet[2],
			       &octet[3]);
		found = strstr(line, "/32 host LOCAL") && octet[0] != 127 &&
			!has_network(&addresses, octet);
	}
	free(addresses.route);
	return found && say(look, "%s is up, and may have the address %u.%u.%u.%u", name,
			    octet[0], octet[1], octet[2], octet[3]);
}

static bool has_upper(const struct look *look, int dir, const char *name)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	if (fs_list(dir, ".", &names, &none) < 0)
		return say(look, "%s cannot be looked at", name);
	for (size_t i = 0; i < names.count; i++) {
		if (strncmp(names.name[i], "upper_", 6) == 0)
			return say(look, "%s is part of %s", name, names.name[i] + 6);
	}
	return false;
}

static bool interface_is_busy(const struct look *look, const char *name)
{
	AUTO_FREE char *path = must_printf("sys/class/net/%s", name);
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	char flags[32];
	bool readable, ignored;

	if (machine_open_dir(look->machine, path, &dir, &none) < 0)
		return say(look, "%s cannot be looked at", name);
	fs_attribute(dir, "flags", flags, sizeof(flags));
	if (has_upper(look, dir, name))
		return true;
	if (flags[0] && !(strtoul(flags, NULL, 0) & IFF_UP_BIT))
		return false;
	if (any_line(look, "proc/net/route", name, is_route, &readable))
		return true;
	if (!readable)
		return say(look, "/proc/net/route cannot be read");
	return is_anybodys_address(look, name) ||
	       any_line(look, "proc/net/if_inet6", name, is_address6, &ignored) ||
	       any_line(look, "proc/net/ipv6_route", name, is_route6, &ignored);
}

static bool network_is_busy(const struct look *look)
{
	AUTO_NAMES struct fs_names names = { 0 }, own = { 0 };
	AUTO_CLOSE int net = -1;
	struct err none = { 0 };

	/* The folder without anything in it: its interface is in another network namespace. */
	if (fs_list(look->device, "net", &own, &none) == 0 && own.count == 0)
		return say(look, "its network interface is in another namespace");
	if (machine_open_dir(look->machine, "sys/class/net", &net, &none) < 0 ||
	    fs_list(net, ".", &names, &none) < 0)
		return false;
	for (size_t i = 0; i < names.count; i++) {
		char path[FS_PATH_MAX];

		if (sys_target(look->machine, "sys/class/net", names.name[i], path) &&
		    is_beneath(look, path) && interface_is_busy(look, names.name[i]))
			return true;
	}
	return false;
}

/* --- disks -------------------------------------------------------------------------------------------- */

static bool disk_is_carried(const struct look *look, const char *folder, const char *name,
			    int depth);

static bool is_made_of_memory(const char *name)
{
	static const char *const rows[] = { "loop", "ram", "zram" };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strncmp(name, rows[i], strlen(rows[i])) == 0)
			return true;
	}
	return false;
}

/* A disk that is made of others: device mapper, RAID. */
static bool slaves_are_carried(const struct look *look, const char *path, int depth)
{
	AUTO_FREE char *folder = must_printf("sys/%s", path);
	const char *name = strrchr(path, '/') + 1;
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (machine_open_dir(look->machine, folder, &dir, &none) == 0 &&
	    fs_list(dir, "slaves", &names, &none) == 0) {
		for (size_t i = 0; i < names.count; i++) {
			if (disk_is_carried(look, "sys/class/block", names.name[i], depth + 1))
				return true;
		}
	}
	if (names.count || is_made_of_memory(name) ||
	    strncmp(path, "devices/virtual/", 16) != 0)
		return false;
	return say(look, "%s is mounted, and what carries it is not known", name);
}

static bool disk_is_carried(const struct look *look, const char *folder, const char *name,
			    int depth)
{
	char path[FS_PATH_MAX];

	if (depth > SLAVES_MAX_DEPTH || !sys_target(look->machine, folder, name, path))
		return say(look, "the disk %s is mounted, and what carries it is not known",
			   name);
	if (is_beneath(look, path))
		return say(look, "it carries %s, which is mounted", strrchr(path, '/') + 1);
	return slaves_are_carried(look, path, depth);
}

/* /proc/self/mountinfo, proc(5): "36 35 98:0 / /mnt rw shared:1 - ext4 /dev/sda2 rw". A file system of several disks has
 * no number of its own there, but names one of them. */
static bool is_mounted_here(const struct look *look, const char *name, char *line)
{
	AUTO_FREE char *copy = must_strdup(line);
	const char *source = strstr(line, " - ");
	unsigned major = 0, minor = 0;
	char number[32], disk[FS_PATH_MAX] = "dev/";
	struct stat status;

	(void)name;
	if (sscanf(word_of(copy, 2), "%u:%u", &major, &minor) != 2)
		return false;
	if (major == 0) {
		if (!source || sscanf(source, " - %*s /dev/%4000s", disk + 4) != 1 ||
		    fstatat(look->machine->root, disk, &status, 0) < 0 ||
		    !S_ISBLK(status.st_mode))
			return false;
		major = major(status.st_rdev);
		minor = minor(status.st_rdev);
	}
	snprintf(number, sizeof(number), "%u:%u", major, minor);
	return disk_is_carried(look, "sys/dev/block", number, 0);
}

static bool disks_are_busy(const struct look *look)
{
	bool readable;

	return any_line(look, "proc/self/mountinfo", "", is_mounted_here, &readable) ||
	       (!readable && say(look, "/proc/self/mountinfo cannot be read"));
}

/* --- RDMA --------------------------------------------------------------------------------------------- */

/* "uverbs0" of /dev/infiniband. rdma_cm belongs to no device: what is done over it has a uverbs open, too. */
static bool node_is_ours(const struct look *look, const char *node)
{
	static const char *const classes[] = { "sys/class/infiniband_verbs",
					       "sys/class/infiniband_mad" };
	char path[FS_PATH_MAX];

	for (size_t i = 0; i < COUNT_OF(classes); i++) {
		if (sys_target(look->machine, classes[i], node, path))
			return is_beneath(look, path);
	}
	return strcmp(node, "rdma_cm") != 0;
}

static bool process_holds(const struct look *look, int proc, const char *process)
{
	AUTO_FREE char *path = must_printf("%s/fd", process);
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (fs_open_dir(proc, path, &dir, &none) < 0 || fs_list(dir, ".", &names, &none) < 0)
		return false;
	for (size_t i = 0; i < names.count; i++) {
		char target[FS_NAME_MAX];
		ssize_t length = readlinkat(dir, names.name[i], target, sizeof(target) - 1);

		target[length > 0 ? length : 0] = '\0';
		if (strncmp(target, RDMA_NODES, strlen(RDMA_NODES)) == 0 &&
		    node_is_ours(look, target + strlen(RDMA_NODES)))
			return say(look, "process %s has %s open", process, target);
	}
	return false;
}

static bool rdma_is_busy(const struct look *look)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int proc = -1;
	struct err none = { 0 };

	if (machine_open_dir(look->machine, "proc", &proc, &none) < 0 ||
	    fs_list(proc, ".", &names, &none) < 0)
		return say(look, "/proc cannot be read");
	for (size_t i = 0; i < names.count; i++) {
		if (strspn(names.name[i], "0123456789") == strlen(names.name[i]) &&
		    process_holds(look, proc, names.name[i]))
			return true;
	}
	return false;
}

/* --- the device itself -------------------------------------------------------------------------------- */

/* Drivers that nobody's table of devices binds: somebody gave the device to a virtual machine, or to a program. */
static bool was_given_away(const struct look *look)
{
	static const char *const rows[] = { "vfio-pci",	      "uio_pci_generic", "igb_uio",
					    "uio_hv_generic", "pci-stub",	 "pciback" };
	char driver[FS_NAME_MAX], chosen[FS_NAME_MAX], functions[32];

	fs_link_name(look->device, "driver", driver, sizeof(driver));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strcmp(driver, rows[i]) == 0)
			return say(look, "somebody bound it to %s", driver);
	}
	fs_attribute(look->device, "driver_override", chosen, sizeof(chosen));
	if (chosen[0] && strcmp(chosen, "(null)") != 0)
		return say(look, "its driver_override is set");
	fs_attribute(look->device, "sriov_numvfs", functions, sizeof(functions));
	return functions[0] && strcmp(functions, "0") != 0 &&
	       say(look, "it has %s virtual functions", functions);
}

/* An auxiliary device is a part of another: what stands beneath that one is meant. */
static void leave_auxiliary(struct look *look, const char *bus)
{
	char *last = strrchr(look->path, '/');

	if (strcmp(bus, "auxiliary") == 0 && last)
		*last = '\0';
}

bool busy_device(const struct machine *machine, const char *bus, const char *address,
		 char text[BUSY_TEXT_MAX])
{
	static bool (*const questions[])(const struct look *) = {
		was_given_away, network_is_busy, disks_are_busy, rdma_is_busy
	};
	AUTO_FREE char *folder = must_printf("sys/bus/%s/devices", bus);
	AUTO_FREE char *place = NULL;
	AUTO_CLOSE int device = -1;
	struct look look = { .machine = machine, .text = text };
	struct err none = { 0 };

	text[0] = '\0';
	if (!sys_target(machine, folder, address, look.path))
		return say(&look, "it is not found in /sys");
	leave_auxiliary(&look, bus);
	place = must_printf("sys/%s", look.path);
	if (machine_open_dir(machine, place, &device, &none) < 0)
		return say(&look, "it cannot be looked at in /sys");
	look.device = device;
	for (size_t i = 0; i < COUNT_OF(questions); i++) {
		if (questions[i](&look))
			return true;
	}
	return false;
}
