#include "firstboot/detect.h"

#include <string.h>
#include <sys/utsname.h>

#include "cache/kernels.h"
#include "cache/name.h"
#include "cache/os_release.h"
#include "firstboot/kvp.h"
#include "firstboot/security.h"

#define KVP_POOL "/var/lib/hyperv/.kvp_pool_0" /* what the host wrote */

#define AZURE_ASSET_TAG "7783-7084-3265-9085-8269-3286-77"

static const char *const buses[] = { "pci", "vmbus", "virtio", "usb" };

static void read_os(const struct machine *machine, struct facts *facts)
{
	static const char *const paths[] = { "etc/os-release", "usr/lib/os-release" };
	char release[FACTS_TEXT_MAX];

	for (size_t i = 0; i < COUNT_OF(paths) && facts->os_id[0] == '\0'; i++) {
		AUTO_FREE char *text = NULL;
		struct err none = { 0 };
		size_t size;

		if (machine_read(machine, paths[i], OS_RELEASE_MAX_BYTES, &text, &size,
				 &none) == 0)
			os_release_parse(text, facts);
	}
	machine_attribute(machine, "etc/redhat-release", release, sizeof(release));
	os_release_refine(release, facts);
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

/* Of the first RDMA device and port: the two of one card may differ, then the first is the card's. */
static void read_link_layer(int device, char *out, size_t out_size)
{
	AUTO_NAMES struct fs_names names = { 0 }, ports = { 0 };
	char path[FS_PATH_MAX];
	struct err none = { 0 };

	out[0] = '\0';
	if (fs_list(device, "infiniband", &names, &none) < 0 || names.count == 0)
		return;
	snprintf(path, sizeof(path), "infiniband/%s/ports", names.name[0]);
	if (fs_list(device, path, &ports, &none) < 0 || ports.count == 0)
		return;
	snprintf(path, sizeof(path), "infiniband/%s/ports/%s/link_layer", names.name[0],
		 ports.name[0]);
	read_whole(device, path, out, out_size);
}

static void read_dependents(int module, char *out, size_t out_size)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };
	size_t length = 0;

	out[0] = '\0';
	if (fs_list(module, "holders", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count && length + strlen(names.name[i]) + 2 <= out_size;
	     i++)
		length +=
			(size_t)sprintf(out + length, "%s%s", length ? " " : "", names.name[i]);
}

/* What the module of the device's driver is. */
static void read_module(const struct machine *machine, struct facts_device *device)
{
	AUTO_CLOSE int driver = -1, module = -1;
	char path[2 * FACTS_TEXT_MAX], name[64];
	struct err none = { 0 };

	snprintf(path, sizeof(path), "sys/bus/%s/drivers/%s", device->bus, device->driver);
	if (!device->driver[0] || machine_open_dir(machine, path, &driver, &none) < 0)
		return;
	fs_link_name(driver, "module", name, sizeof(name));
	snprintf(path, sizeof(path), "sys/module/%s", name);
	if (!name[0] || machine_open_dir(machine, path, &module, &none) < 0)
		return;
	read_whole(module, "srcversion", device->srcversion, sizeof(device->srcversion));
	read_dependents(module, device->dependents, sizeof(device->dependents));
}

static void read_state(int dir, struct facts_device *device)
{
	fs_link_name(dir, "driver", device->driver, sizeof(device->driver));
	read_interface(dir, device->interface, sizeof(device->interface));
	read_link_layer(dir, device->link_layer, sizeof(device->link_layer));
}

static void add_device(const struct machine *machine, struct facts *facts, const char *bus,
		       int devices, const char *address)
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
	if (facts_device_is_network(&device))
		read_module(machine, &device);
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
		add_device(machine, facts, bus, devices, names.name[i]);
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

/* --- kernels, Secure Boot, DMI ------------------------------------------------------------------ */

static void read_kernels(const struct machine *machine, struct facts *facts)
{
	AUTO_CLOSE int modules = -1;
	struct err none = { 0 };

	if (machine_open_dir(machine, "lib/modules", &modules, &none) == 0)
		kernels_read(modules, facts);
}

static void read_security(const struct machine *machine, struct facts *facts)
{
	static const enum facts_secure_boot secure_boots[] = {
		[LOADABLE_UNKNOWN] = FACTS_SECURE_BOOT_UNKNOWN,
		[LOADABLE_OFF] = FACTS_SECURE_BOOT_OFF,
		[LOADABLE_ON] = FACTS_SECURE_BOOT_ON,
	};
	struct loadable_security security;

	security_read(machine, &security);
	facts->secure_boot = secure_boots[security.secure_boot];
	facts->sig_enforce = security.sig_enforce == LOADABLE_ON;
	snprintf(facts->lockdown, sizeof(facts->lockdown), "%s",
		 loadable_lockdown_name(security.lockdown));
}

/* Azure's virtual machines have one asset tag, whatever their generation. */
static void read_dmi(const struct machine *machine, struct facts *facts)
{
	char vendor[FACTS_TEXT_MAX], product[FACTS_TEXT_MAX], tag[FACTS_TEXT_MAX];

	machine_attribute(machine, "sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
	machine_attribute(machine, "sys/class/dmi/id/product_name", product, sizeof(product));
	machine_attribute(machine, "sys/class/dmi/id/chassis_asset_tag", tag, sizeof(tag));
	facts->hyperv = strcmp(vendor, "Microsoft Corporation") == 0 &&
			strcmp(product, "Virtual Machine") == 0;
	facts->azure = strcmp(tag, AZURE_ASSET_TAG) == 0;
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
	read_kernels(machine, &facts);
	read_security(machine, &facts);
	read_dmi(machine, &facts);
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
