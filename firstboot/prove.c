#include "firstboot/prove.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "cache/base/process.h"
#include "firstboot/detect.h"

#define POLL_MS 20
#define IFF_UP_BIT 0x1UL /* linux/if.h IFF_UP */
#define TYPE_ETHERNET "1" /* linux/if_arp.h ARPHRD_ETHER */
#define TYPE_INFINIBAND "32" /* linux/if_arp.h ARPHRD_INFINIBAND */

/* Calls look until it holds or the time is over. */
static bool wait_until(bool (*look)(const struct prove *prove, struct facts_device *device),
		       const struct prove *prove, struct facts_device *device)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };

	for (;;) {
		detect_refresh(prove->machine, device);
		if (look(prove, device))
			return true;
		if (process_is_ending() || fs_boot_ms() >= prove->deadline_ms)
			return false;
		nanosleep(&pause, NULL);
	}
}

/* Bound to any driver is enough to look no longer: waiting takes none off. */
static bool has_driver(const struct prove *prove, struct facts_device *device)
{
	(void)prove;
	return device->driver[0] != '\0';
}

enum reason prove_bound(const struct prove *prove, struct facts_device *device,
			char text[PLAN_TEXT_MAX])
{
	const char *driver = prove->expect->driver;

	text[0] = '\0';
	if (!driver) {
		detect_refresh(prove->machine, device);
		return REASON_DONE;
	}
	if (!wait_until(has_driver, prove, device)) {
		snprintf(text, PLAN_TEXT_MAX, "no driver bound in time; expected %s", driver);
		return REASON_PROOF_FAILED;
	}
	if (strcmp(device->driver, driver) == 0)
		return REASON_DONE;
	snprintf(text, PLAN_TEXT_MAX, "bound to %s; %s is installed and not bound",
		 device->driver, driver);
	return REASON_REBOOT;
}

/* The module behind the driver of a device, or "" for a driver that is built in. */
static void driver_module(const struct prove *prove, const struct facts_device *device,
			  char out[MODULE_NAME_SIZE])
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	out[0] = '\0';
	if (detect_open_device(prove->machine, device, &dir, &none) == 0)
		fs_link_name(dir, "driver/module", out, MODULE_NAME_SIZE);
}

struct comparison {
	size_t same, unknown, others;
	char other[PROVE_MAX_MODULES][MODULE_NAME_SIZE];
};

static void add_other(struct comparison *so_far, const char *name)
{
	for (size_t i = 0; i < so_far->others; i++) {
		if (strcmp(so_far->other[i], name) == 0)
			return;
	}
	if (so_far->others < PROVE_MAX_MODULES)
		snprintf(so_far->other[so_far->others++], MODULE_NAME_SIZE, "%s", name);
}

static void compare(const struct prove *prove, const char *name, struct comparison *so_far)
{
	if (name[0] == '\0' || !module_is_loaded(prove->machine, name))
		return;
	switch (module_compare(prove->machine, prove->kernel, name)) {
	case MODULE_SAME:
		so_far->same++;
		break;
	case MODULE_NOT_COMPARED:
		so_far->unknown++;
		break;
	case MODULE_OTHER:
		add_other(so_far, name);
		break;
	}
}

static void compare_all(const struct prove *prove, const struct record *record,
			const struct facts_device *device, struct comparison *out)
{
	char name[MODULE_NAME_SIZE];

	driver_module(prove, device, name);
	compare(prove, name, out);
	for (size_t i = 0; i < record->step_count; i++) {
		const struct record_step *step = &record->step[i];

		for (size_t j = 0; step->kind == RECORD_DO_MODULES && j < step->files.count;
		     j++) {
			if (module_name_of(step->files.item[j], name))
				compare(prove, name, out);
		}
	}
}

size_t prove_others(const struct prove *prove, const struct record *record,
		    const struct facts_device *device,
		    char out[PROVE_MAX_MODULES][MODULE_NAME_SIZE])
{
	struct comparison comparison = { 0 };

	compare_all(prove, record, device, &comparison);
	memcpy(out, comparison.other, sizeof(comparison.other));
	return comparison.others;
}

enum reason prove_modules(const struct prove *prove, const struct record *record,
			  const struct facts_device *device, char text[PLAN_TEXT_MAX])
{
	struct comparison comparison = { 0 };

	compare_all(prove, record, device, &comparison);
	if (comparison.others) {
		snprintf(text, PLAN_TEXT_MAX, "the loaded module %s is not the one installed",
			 comparison.other[0]);
		return REASON_REBOOT;
	}
	snprintf(text, PLAN_TEXT_MAX, "%s",
		 comparison.unknown ? "loaded module not compared"
		 : comparison.same  ? "loaded module is the installed one"
				    : "");
	return REASON_DONE;
}

static int open_interface(const struct prove *prove, const struct facts_device *device,
			  int *out_fd)
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	char path[64];

	if (device->interface[0] == '\0' ||
	    detect_open_device(prove->machine, device, &dir, &none) < 0)
		return -1;
	snprintf(path, sizeof(path), "net/%s", device->interface);
	return fs_open_dir(dir, path, out_fd, &none);
}

int prove_carrier(const struct machine *machine, const struct facts_device *device)
{
	const struct prove prove = { .machine = machine };
	AUTO_CLOSE int dir = -1;
	char carrier[8];

	if (open_interface(&prove, device, &dir) < 0)
		return -1;
	fs_attribute(dir, "carrier", carrier, sizeof(carrier));
	return carrier[0] == '1' ? 1 : carrier[0] == '0' ? 0 : -1;
}

/* Raises the interface through sysfs: the agent opens no socket. */
static void raise_interface(int dir)
{
	char flags[32], wanted[32];
	AUTO_CLOSE int fd = -1;
	unsigned long now;

	fs_attribute(dir, "flags", flags, sizeof(flags));
	now = strtoul(flags, NULL, 0);
	if (flags[0] == '\0' || (now & IFF_UP_BIT))
		return;
	fd = openat(dir, "flags", O_WRONLY | O_CLOEXEC);
	snprintf(wanted, sizeof(wanted), "0x%lx\n", now | IFF_UP_BIT);
	if (fd >= 0 && write(fd, wanted, strlen(wanted)) < 0)
		return; /* seen again at the next look */
}

static bool wants_link(const struct record_expect *expect)
{
	return expect->carrier || expect->link_layer || expect->port;
}

void prove_raise(const struct prove *prove, struct facts_device *device)
{
	AUTO_CLOSE int dir = -1;

	detect_refresh(prove->machine, device);
	if (wants_link(prove->expect) && open_interface(prove, device, &dir) == 0)
		raise_interface(dir);
}

/* The link layer of the first RDMA port, else what kind of interface it is; "" if there is neither yet. */
static void read_link_layer(const struct prove *prove, const struct facts_device *device,
			    int port, char out[32])
{
	AUTO_CLOSE int dir = -1;

	out[0] = '\0';
	if (port >= 0)
		fs_attribute(port, "link_layer", out, 32);
	if (out[0] != '\0' || open_interface(prove, device, &dir) < 0)
		return;
	fs_attribute(dir, "type", out, 32);
	if (strcmp(out, TYPE_ETHERNET) == 0)
		strcpy(out, "Ethernet");
	else if (strcmp(out, TYPE_INFINIBAND) == 0)
		strcpy(out, "InfiniBand");
	else
		out[0] = '\0';
}

static bool port_is_up(const struct prove *prove, int port)
{
	const char *wanted = prove->expect->port;
	char state[32];

	if (!wanted)
		return true;
	if (port < 0)
		return false;
	if (strcmp(wanted, "logical") == 0) {
		fs_attribute(port, "state", state, sizeof(state));
		return strstr(state, "ACTIVE") != NULL;
	}
	fs_attribute(port, "phys_state", state, sizeof(state));
	return strstr(state, "LinkUp") != NULL;
}

/* Calls use for each RDMA port of the device, until it says true. */
static bool any_port(const struct prove *prove, const struct facts_device *device,
		     bool (*use)(const struct prove *prove, const struct facts_device *device,
				 int port))
{
	AUTO_CLOSE int dir = -1, rdma = -1;
	AUTO_NAMES struct fs_names devices = { 0 };
	struct err none = { 0 };

	if (detect_open_device(prove->machine, device, &dir, &none) < 0 ||
	    fs_open_dir(dir, "infiniband", &rdma, &none) < 0 ||
	    fs_list(rdma, ".", &devices, &none) < 0)
		return use(prove, device, -1);
	for (size_t i = 0; i < devices.count; i++) {
		AUTO_FREE char *path = must_printf("%s/ports", devices.name[i]);
		AUTO_NAMES struct fs_names ports = { 0 };

		if (fs_list(rdma, path, &ports, &none) < 0)
			continue;
		for (size_t j = 0; j < ports.count; j++) {
			AUTO_FREE char *name = must_printf("%s/%s", path, ports.name[j]);
			AUTO_CLOSE int port = -1;

			if (fs_open_dir(rdma, name, &port, &none) == 0 &&
			    use(prove, device, port))
				return true;
		}
	}
	return false;
}

static bool port_fits(const struct prove *prove, const struct facts_device *device, int port)
{
	char layer[32];

	if (prove->expect->link_layer) {
		read_link_layer(prove, device, port, layer);
		if (strcmp(layer, prove->expect->link_layer) != 0)
			return false;
	}
	return port_is_up(prove, port);
}

static bool is_ethernet(const struct prove *prove, const struct facts_device *device, int port)
{
	char layer[32];

	read_link_layer(prove, device, port, layer);
	return strcmp(layer, "Ethernet") == 0;
}

static bool link_fits(const struct prove *prove, struct facts_device *device)
{
	const struct record_expect *expect = prove->expect;

	prove_raise(prove, device);
	if (expect->carrier && prove_carrier(prove->machine, device) != 1)
		return false;
	return (!expect->link_layer && !expect->port) || any_port(prove, device, port_fits);
}

static enum reason explain(const struct prove *prove, const struct facts_device *device,
			   char text[PLAN_TEXT_MAX])
{
	const struct record_expect *expect = prove->expect;

	if (expect->link_layer && strcmp(expect->link_layer, "InfiniBand") == 0 &&
	    any_port(prove, device, is_ethernet)) {
		snprintf(text, PLAN_TEXT_MAX, "the link layer is Ethernet, not InfiniBand");
		return REASON_NOT_INFINIBAND;
	}
	if (expect->carrier && device->interface[0] == '\0')
		snprintf(text, PLAN_TEXT_MAX, "no network interface appeared in time");
	else if (expect->carrier && prove_carrier(prove->machine, device) != 1)
		snprintf(text, PLAN_TEXT_MAX, "%s has no carrier", device->interface);
	else
		snprintf(text, PLAN_TEXT_MAX, "no port is up as expected (%s%s%s)",
			 expect->link_layer ? expect->link_layer : "",
			 expect->link_layer && expect->port ? ", " : "",
			 expect->port ? expect->port : "");
	return REASON_PROOF_FAILED;
}

enum reason prove_link(const struct prove *prove, struct facts_device *device,
		       char text[PLAN_TEXT_MAX])
{
	const struct record_expect *expect = prove->expect;

	text[0] = '\0';
	if (!wants_link(expect))
		return REASON_DONE;
	if (!wait_until(link_fits, prove, device))
		return explain(prove, device, text);
	snprintf(text, PLAN_TEXT_MAX, "%s%s%s%s%s",
		 device->interface[0] ? device->interface : device->address,
		 expect->carrier ? " carrier" : "", expect->link_layer ? " " : "",
		 expect->link_layer ? expect->link_layer : "", expect->port ? " port up" : "");
	return REASON_DONE;
}
