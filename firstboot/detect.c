#include "firstboot/detect.h"

#include <ctype.h>
#include <string.h>
#include <sys/utsname.h>

#include "cache/name.h"
#include "firstboot/kvp.h"

#define OS_RELEASE_MAX 65536
#define KVP_POOL "/var/lib/hyperv/.kvp_pool_0" /* what the host wrote */

static const char *const buses[] = { "pci", "vmbus", "virtio", "usb" };

/* Removes shell quoting in place: '...', "..." with backslashes, or none. */
static void unquote(char *value)
{
	char *out = value;
	char quote = *value == '"' || *value == '\'' ? *value : '\0';
	const char *at = quote ? value + 1 : value;

	while (*at != '\0' && *at != quote) {
		if (*at == '\\' && quote != '\'' && at[1] != '\0')
			at++;
		*out++ = *at++;
	}
	*out = '\0';
}

static void take_name(char *value, char out[FACTS_TEXT_MAX])
{
	unquote(value);
	snprintf(out, FACTS_TEXT_MAX, "%s", name_is_release(value) ? value : "");
}

void detect_parse_os_release(char *text, struct facts *facts)
{
	for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n")) {
		size_t length;

		line += strspn(line, " \t");
		length = strlen(line);
		while (length > 0 && isspace((unsigned char)line[length - 1]))
			line[--length] = '\0';
		if (strncmp(line, "ID=", 3) == 0)
			take_name(line + 3, facts->os_id);
		if (strncmp(line, "VERSION_ID=", 11) == 0)
			take_name(line + 11, facts->os_version);
	}
}

static void read_os(const struct machine *machine, struct facts *facts)
{
	static const char *const paths[] = { "etc/os-release", "usr/lib/os-release" };

	for (size_t i = 0; i < COUNT_OF(paths) && facts->os_id[0] == '\0'; i++) {
		AUTO_FREE char *text = NULL;
		struct err none = { 0 };
		size_t size;

		if (machine_read(machine, paths[i], OS_RELEASE_MAX, &text, &size, &none) == 0)
			detect_parse_os_release(text, facts);
	}
}

static int read_kernel(const struct machine *machine, struct facts *facts, struct err *err)
{
	struct utsname name;

	if (uname(&name) < 0)
		return err_errno(err, "uname");
	machine_attribute(machine, "proc/sys/kernel/osrelease", facts->kernel, FACTS_TEXT_MAX);
	if (facts->kernel[0] == '\0')
		snprintf(facts->kernel, sizeof(facts->kernel), "%s", name.release);
	machine_attribute(machine, "proc/sys/kernel/arch", facts->arch, sizeof(facts->arch));
	if (facts->arch[0] == '\0')
		snprintf(facts->arch, sizeof(facts->arch), "%.15s", name.machine);
	if (!name_is_release(facts->kernel) || !name_is_release(facts->arch))
		return err_set(err, ERR_INVALID,
			       "the kernel's release or architecture is no name");
	return 0;
}

/* The attribute whole, or "": a modalias that was cut could match another device's glob. */
static void read_whole(int dir, const char *name, char *out, size_t out_size)
{
	char text[FS_PATH_MAX];

	fs_attribute(dir, name, text, sizeof(text));
	out[0] = '\0';
	if (strlen(text) < out_size)
		strcpy(out, text);
}

static void read_interface(int device, char *out, size_t out_size)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	out[0] = '\0';
	if (fs_list(device, "net", &names, &none) == 0 && names.count > 0 &&
	    strlen(names.name[0]) < out_size)
		strcpy(out, names.name[0]);
}

static void read_state(int dir, struct facts_device *device)
{
	fs_link_name(dir, "driver", device->driver, sizeof(device->driver));
	read_interface(dir, device->interface, sizeof(device->interface));
}

static void add_device(struct facts *facts, const char *bus, int devices, const char *address)
{
	struct facts_device device = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (facts->device_count == FACTS_MAX_DEVICES ||
	    strlen(address) >= sizeof(device.address))
		return;
	if (fs_open_dir(devices, address, &dir, &none) < 0)
		return;
	read_whole(dir, "modalias", device.modalias, sizeof(device.modalias));
	if (device.modalias[0] == '\0')
		return;
	snprintf(device.bus, sizeof(device.bus), "%s", bus);
	snprintf(device.address, sizeof(device.address), "%s", address);
	read_state(dir, &device);
	facts->device = must_realloc(facts->device, facts->device_count + 1, sizeof(device));
	facts->device[facts->device_count++] = device;
}

static int open_bus(const struct machine *machine, const char *bus, int *out_fd,
		    struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "sys/bus/%s/devices", bus);
	return machine_open_dir(machine, path, out_fd, err);
}

static void read_bus(const struct machine *machine, const char *bus, struct facts *facts)
{
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int devices = -1;
	struct err none = { 0 };

	if (open_bus(machine, bus, &devices, &none) < 0 ||
	    fs_list(devices, ".", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count; i++)
		add_device(facts, bus, devices, names.name[i]);
}

static int by_address(const void *left, const void *right)
{
	const struct facts_device *a = left, *b = right;
	int order = strcmp(a->bus, b->bus);

	return order ? order : strcmp(a->address, b->address);
}

/* What the host says is a hint: a pool that is not there, or not readable, says nothing. */
static void read_kvp(const struct machine *machine, struct facts *facts)
{
	AUTO_FREE char *pool = NULL;
	struct err none = { 0 };
	size_t size;

	if (machine_read(machine, KVP_POOL, KVP_POOL_MAX_BYTES, &pool, &size, &none) == 0 &&
	    kvp_find(span_of(pool, size), "NdDriverVersion", facts->nd_version,
		     sizeof(facts->nd_version), &none) < 0)
		facts->nd_version[0] = '\0';
}

int detect_facts(const struct machine *machine, struct facts *out_facts, struct err *err)
{
	AUTO_FACTS struct facts facts = { .family = "linux" };

	read_os(machine, &facts);
	if (read_kernel(machine, &facts, err) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(buses); i++)
		read_bus(machine, buses[i], &facts);
	read_kvp(machine, &facts);
	if (facts.device_count)
		qsort(facts.device, facts.device_count, sizeof(*facts.device), by_address);
	*out_facts = facts;
	facts = (struct facts) { 0 };
	return 0;
}

int detect_open_device(const struct machine *machine, const struct facts_device *device,
		       int *out_fd, struct err *err)
{
	AUTO_CLOSE int devices = -1;

	if (open_bus(machine, device->bus, &devices, err) < 0)
		return -1;
	return fs_open_dir(devices, device->address, out_fd, err);
}

void detect_refresh(const struct machine *machine, struct facts_device *device)
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	device->driver[0] = '\0';
	device->interface[0] = '\0';
	if (detect_open_device(machine, device, &dir, &none) == 0)
		read_state(dir, device);
}
