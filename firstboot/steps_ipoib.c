/* The ipoib step: each address that the host tells goes to the interface with its MAC, now and at later boots. */
#include <string.h>
#include <time.h>

#include "cache/base/process.h"
#include "cache/name.h"
#include "firstboot/dropin.h"
#include "firstboot/ipoib.h"
#include "firstboot/kvp.h"
#include "firstboot/undo.h"

#define KVP_POOL "/var/lib/hyperv/.kvp_pool_0"
#define NET "/sys/class/net"
#define WAIT_MS 10000 /* for interfaces of a driver that was just loaded */
#define POLL_MS 200
#define INTERFACE_MAX 64

static void write_networkd(FILE *to, const char *interface, const char *address)
{
	fprintf(to, "[Match]\nName=%s\n\n[Network]\nAddress=%s/%d\n", interface, address,
		IPOIB_PREFIX);
}

static void write_keyfile(FILE *to, const char *interface, const char *address)
{
	fprintf(to,
		"[connection]\nid=larder-%s\ntype=infiniband\ninterface-name=%s\n\n"
		"[infiniband]\ntransport-mode=datagram\n\n"
		"[ipv4]\nmethod=manual\naddress1=%s/%d\nnever-default=true\n\n"
		"[ipv6]\nmethod=link-local\n",
		interface, interface, address, IPOIB_PREFIX);
}

static void write_ifupdown(FILE *to, const char *interface, const char *address)
{
	fprintf(to, "auto %s\niface %s inet static\n    address %s/%d\n", interface, interface,
		address, IPOIB_PREFIX);
}

#define WANTS "/etc/systemd/system/multi-user.target.wants/"

/* Who sets addresses at later boots: the first whose sign is there. */
static const struct manager {
	const char *sign; /* a path */
	const char *folder, *head, *tail; /* its file for an interface */
	mode_t mode;
	void (*write)(FILE *to, const char *interface, const char *address);
} managers[] = {
	{ WANTS "systemd-networkd.service", "/etc/systemd/network", "90-larder-", ".network",
	  0644, write_networkd },
	{ WANTS "NetworkManager.service", "/etc/NetworkManager/system-connections", "larder-",
	  ".nmconnection", 0600, write_keyfile },
	{ "/etc/network/interfaces", "/etc/network/interfaces.d", "larder-", "", 0644,
	  write_ifupdown },
};

static const struct manager *find_manager(const struct machine *machine)
{
	for (size_t i = 0; i < COUNT_OF(managers); i++) {
		if (machine_has(machine, managers[i].sign))
			return &managers[i];
	}
	return NULL;
}

/* What the host tells; 0 pairs: nothing. */
static int read_pairs(const struct machine *machine, struct ipoib_pair out[IPOIB_MAX],
		      size_t *out_count, struct err *err)
{
	AUTO_FREE char *data = NULL;
	char value[KVP_VALUE_BYTES];
	struct err why = { 0 };
	size_t size;

	*out_count = 0;
	if (machine_read(machine, KVP_POOL, KVP_POOL_MAX_BYTES, &data, &size, &why) == 0 &&
	    kvp_find(span_of(data, size), IPOIB_KEY, value, sizeof(value), &why) == 0)
		return ipoib_parse(value, out, out_count, err);
	return why.kind == ERR_MISSING ? 0 : err_set(err, why.kind, "%s", why.text);
}

/* The interface with this MAC; "" where there is none. Its name goes into files, so it has to be a safe one. */
static void find_interface(const struct machine *machine, const char *mac,
			   char out[INTERFACE_MAX])
{
	AUTO_CLOSE int net = -1;
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	out[0] = '\0';
	if (machine_open_dir(machine, NET, &net, &none) < 0 ||
	    fs_list(net, ".", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *path = must_printf(NET "/%s/address", names.name[i]);
		char address[128];

		machine_attribute(machine, path, address, sizeof(address));
		if (ipoib_is_of(address, mac) && name_is_safe(names.name[i]) &&
		    strlen(names.name[i]) < INTERFACE_MAX)
			strcpy(out, names.name[i]);
	}
}

/* Is there a port that an interface may still come from? */
static bool has_port(const struct machine *machine)
{
	AUTO_CLOSE int folder = -1;
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	if (machine_open_dir(machine, "/sys/class/infiniband", &folder, &none) < 0 ||
	    fs_list(folder, ".", &names, &none) < 0)
		return false;
	for (size_t i = 0; i < names.count; i++) {
		AUTO_FREE char *path = must_printf(
			"/sys/class/infiniband/%s/ports/1/link_layer", names.name[i]);
		char layer[32];

		machine_attribute(machine, path, layer, sizeof(layer));
		if (strcmp(layer, "InfiniBand") == 0)
			return true;
	}
	return false;
}

static void await_interface(const struct steps *steps, const char *mac, uint64_t deadline_ms,
			    char out[INTERFACE_MAX])
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };

	for (;;) {
		find_interface(steps->machine, mac, out);
		if (out[0] || fs_boot_ms() >= deadline_ms ||
		    process_must_stop(steps->deadline_ms) || !has_port(steps->machine))
			return;
		nanosleep(&pause, NULL);
	}
}

static void set_now(const struct steps *steps, const char *interface, const char *address)
{
	const struct tool tool = steps_tool(steps);
	AUTO_FREE char *net = must_printf("%s/%d", address, IPOIB_PREFIX);
	const char *const up[] = { "ip", "link", "set", "dev", interface, "up", NULL };
	const char *const set[] = { "ip", "-4",	 "address", "replace",
				    net,  "dev", interface, NULL };
	struct err why = { 0 };

	if (tool_must(&tool, up, &why) < 0 || tool_must(&tool, set, &why) < 0)
		steps_tell(steps, "IPoIB address not set", "%s %s: %s", interface, net,
			   why.text);
	else
		steps_tell(steps, "IPoIB address", "%s %s", interface, net);
}

/* The file of a manager for an interface; name and text are owned. */
struct file {
	char *name, *text;
	size_t size;
	struct dropin dropin;
};

static void file_free(struct file *file)
{
	free(file->name);
	free(file->text);
}

static void file_of(const struct manager *manager, const char *interface, const char *address,
		    struct file *out)
{
	FILE *text = must_stream(&out->text, &out->size);

	manager->write(text, interface, address);
	fclose(text);
	out->name = must_printf("%s%s%s", manager->head, interface, manager->tail);
	out->dropin = (struct dropin) { manager->folder, out->name, manager->mode, out->text };
}

static void key_of(size_t pair, char key[32])
{
	snprintf(key, 32, "pair-%zu", pair);
}

/* Where pair i went is kept, since neither interface nor manager need be the same when it is undone. */
static int keep_for_later(const struct steps *steps, const struct record_step *step, size_t i,
			  const char *interface, const char *address, struct err *err)
{
	const struct manager *manager = find_manager(steps->machine);
	AUTO_FREE char *kept = NULL;
	AUTO(file_free) struct file file = { 0 };
	char key[32];

	if (!manager) {
		steps_tell(
			steps, "IPoIB address not kept",
			"%s: no systemd-networkd, NetworkManager or ifupdown is enabled here",
			interface);
		return 0;
	}
	kept = must_printf("%zu %s", (size_t)(manager - managers), interface);
	key_of(i, key);
	file_of(manager, interface, address, &file);
	return undo_keep_text(steps, step, key, kept, err) < 0 ||
			       dropin_put(steps, step, &file.dropin, err) < 0
		       ? -1
		       : 0;
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	uint64_t deadline_ms = fs_boot_ms() + WAIT_MS;
	struct ipoib_pair pairs[IPOIB_MAX];
	size_t count;

	if (read_pairs(steps->machine, pairs, &count, err) < 0)
		return steps_reason(err);
	if (count == 0)
		steps_tell(steps, "no IPoIB addresses", "the host tells none (" KVP_POOL ")");
	for (size_t i = 0; i < count; i++) {
		char interface[INTERFACE_MAX];

		await_interface(steps, pairs[i].mac, deadline_ms, interface);
		if (interface[0] == '\0') {
			steps_tell(steps, "IPoIB address not set",
				   "%s: no interface has MAC %s", pairs[i].address,
				   pairs[i].mac);
			continue;
		}
		set_now(steps, interface, pairs[i].address);
		if (keep_for_later(steps, step, i, interface, pairs[i].address, err) < 0)
			return steps_reason(err);
	}
	return REASON_DONE;
}

static bool done(const struct steps *steps, const struct record_step *step)
{
	const struct manager *manager = find_manager(steps->machine);
	struct ipoib_pair pairs[IPOIB_MAX];
	struct err none = { 0 };
	size_t count;

	(void)step;
	if (!manager || read_pairs(steps->machine, pairs, &count, &none) < 0)
		return true;
	for (size_t i = 0; i < count; i++) {
		AUTO(file_free) struct file file = { 0 };
		char interface[INTERFACE_MAX];

		find_interface(steps->machine, pairs[i].mac, interface);
		if (interface[0] == '\0')
			continue;
		file_of(manager, interface, pairs[i].address, &file);
		if (!dropin_stands(steps, &file.dropin))
			return false;
	}
	return true;
}

static int take_back(const struct steps *steps, const struct record_step *step, size_t i,
		     struct err *err)
{
	AUTO(file_free) struct file file = { 0 };
	AUTO_FREE char *kept = NULL;
	char key[32], *interface;
	unsigned long manager;

	key_of(i, key);
	if (undo_read_text(steps, step, key, &kept, err) < 0)
		return -1;
	if (!kept)
		return 0;
	manager = strtoul(kept, &interface, 10);
	if (manager >= COUNT_OF(managers) || *interface != ' ' || !name_is_safe(interface + 1))
		return err_set(err, ERR_INVALID, "%s: unexpected text", key);
	file_of(&managers[manager], interface + 1, "", &file);
	return dropin_take_back(steps, step, &file.dropin, err);
}

/* The files go; the addresses themselves stay until the next boot: others may have set them, too. */
static enum reason undo(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	for (size_t i = IPOIB_MAX; i-- > 0;) {
		if (take_back(steps, step, i, err) < 0)
			return steps_reason(err);
	}
	return REASON_DONE;
}

const struct steps_kind steps_ipoib = {
	.event = "IPoIB addresses done", .done = done, .act = act, .undo = undo
};
