/* The rdma_names step: names of RDMA devices that stay the same at each boot. Devices of PCI are numbered by link layer, in
 * order of their address: mlx5_ib0, mlx5_ib1, mlx5_an0, as the HPC images of Azure call them ("an": accelerated networking).
 * The rules take the place of rdma-core's own of the same file name; its rdma_rename does the work (NAME_FIXED). */
#include <string.h>

#include "cache/name.h"
#include "firstboot/dropin.h"
#include "firstboot/undo.h"

#define CLASS "/sys/class/infiniband"
#define RULES_FOLDER "/etc/udev/rules.d"
#define RULES_NAME "60-rdma-persistent-naming.rules"
#define NAME_MAX_SIZE 64 /* IB_DEVICE_NAME_MAX of rdma/ib_verbs.h */
#define DEVICES_MAX 64

struct device {
	char now[NAME_MAX_SIZE];
	char address[32]; /* PCI */
	char driver[16]; /* "mlx5" of mlx5_core */
	const char *layer; /* "ib" or "an" */
	char name[NAME_MAX_SIZE]; /* that it should have */
};

struct devices {
	struct device item[DEVICES_MAX];
	size_t count;
};

static bool is_pci(const char *text)
{
	size_t domain = strspn(text, "0123456789abcdef");

	return domain >= 4 && strlen(text) == domain + 8 && text[domain] == ':' &&
	       text[domain + 3] == ':' && text[domain + 6] == '.' &&
	       strspn(text, "0123456789abcdef:.") == strlen(text);
}

static const char *layer_of(int folder, const char *name)
{
	AUTO_FREE char *path = must_printf("%s/ports/1/link_layer", name);
	char layer[32];

	fs_attribute(folder, path, layer, sizeof(layer));
	if (strcmp(layer, "InfiniBand") == 0)
		return "ib";
	return strcmp(layer, "Ethernet") == 0 ? "an" : NULL;
}

/* False: it is of no PCI function, as soft RoCE, or of another link layer. */
static bool read_device(int folder, const char *name, struct device *out)
{
	AUTO_FREE char *device = must_printf("%s/device", name);
	AUTO_FREE char *driver = must_printf("%s/device/driver", name);
	char found[64];

	fs_link_name(folder, device, out->address, sizeof(out->address));
	fs_link_name(folder, driver, found, sizeof(found));
	found[strcspn(found, "_")] = '\0';
	snprintf(out->driver, sizeof(out->driver), "%.15s", found);
	snprintf(out->now, sizeof(out->now), "%.63s", name);
	out->layer = layer_of(folder, name);
	return out->layer && is_pci(out->address) && name_is_safe(name) &&
	       name_is_module(out->driver);
}

static int by_address(const void *left_void, const void *right_void)
{
	const struct device *left = left_void, *right = right_void;
	size_t left_length = strlen(left->address), right_length = strlen(right->address);

	if (left_length != right_length)
		return left_length < right_length ? -1 : 1;
	return strcmp(left->address, right->address);
}

static void give_names(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->item[i];
		size_t number = 0;

		for (size_t j = 0; j < i; j++)
			number += devices->item[j].layer == device->layer &&
				  strcmp(devices->item[j].driver, device->driver) == 0;
		snprintf(device->name, sizeof(device->name), "%s_%s%zu", device->driver,
			 device->layer, number);
	}
}

static void read_devices(const struct machine *machine, struct devices *out)
{
	AUTO_CLOSE int folder = -1;
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	out->count = 0;
	if (machine_open_dir(machine, CLASS, &folder, &none) < 0 ||
	    fs_list(folder, ".", &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count && out->count < DEVICES_MAX; i++)
		out->count += read_device(folder, names.name[i], &out->item[out->count]);
	qsort(out->item, out->count, sizeof(*out->item), by_address);
	give_names(out);
}

/* The caller frees. */
static char *rules_of(const struct devices *devices)
{
	char *text = NULL;
	size_t size;
	FILE *out = must_stream(&text, &size);

	fputs("# By larder: RDMA devices by link layer, in order of PCI address.\n", out);
	for (size_t i = 0; i < devices->count; i++)
		fprintf(out,
			"ACTION==\"add\", SUBSYSTEM==\"infiniband\", KERNELS==\"%s\", "
			"PROGRAM=\"rdma_rename %%k NAME_FIXED %s\"\n",
			devices->item[i].address, devices->item[i].name);
	fclose(out);
	return text;
}

static struct dropin rules_file(const char *text)
{
	return (struct dropin) { RULES_FOLDER, RULES_NAME, 0644, text };
}

static const char *find_renamer(const struct machine *machine)
{
	static const char *const paths[] = { "/usr/lib/udev/rdma_rename",
					     "/lib/udev/rdma_rename" };

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		if (machine_has(machine, paths[i]))
			return paths[i];
	}
	return NULL;
}

static void rename_now(const struct steps *steps, const char *program, const char *from,
		       const char *to)
{
	const struct tool tool = steps_tool(steps);
	const char *const argv[] = { program, from, "NAME_FIXED", to, NULL };
	struct err why = { 0 };

	if (tool_must(&tool, argv, &why) < 0)
		log_line(steps->log, "warning: %s", why.text);
}

/* By way of names that nobody has, so that two can change places. What does not work now the rules do at the next boot. */
static void rename_all(const struct steps *steps, const char *program,
		       const struct devices *devices)
{
	struct devices after;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < devices->count; i++) {
			const struct device *device = &devices->item[i];
			char between[NAME_MAX_SIZE];

			if (strcmp(device->now, device->name) == 0)
				continue;
			snprintf(between, sizeof(between), "larder%zu", i);
			if (pass == 0)
				rename_now(steps, program, device->now, between);
			else
				rename_now(steps, program, between, device->name);
		}
	}
	read_devices(steps->machine, &after);
	for (size_t i = 0; i < after.count; i++) {
		const struct device *device = &after.item[i];

		steps_tell(steps,
			   strcmp(device->now, device->name) == 0 ? "RDMA device named"
								  : "RDMA device named later",
			   "%s %s", device->address, device->name);
	}
}

static enum reason act(const struct steps *steps, const struct record_step *step,
		       struct err *err)
{
	const char *program = find_renamer(steps->machine);
	struct devices devices;
	AUTO_FREE char *rules = NULL;
	struct dropin dropin;

	read_devices(steps->machine, &devices);
	if (devices.count == 0) {
		steps_tell(steps, "no RDMA devices", "none of PCI is there: nothing was named");
		return REASON_DONE;
	}
	if (!program) {
		err_set(err, ERR_INVALID, "rdma_rename is not here: rdma-core brings it");
		return REASON_STEP_FAILED;
	}
	rules = rules_of(&devices);
	dropin = rules_file(rules);
	if (dropin_put(steps, step, &dropin, err) < 0)
		return steps_reason(err);
	rename_all(steps, program, &devices);
	return REASON_DONE;
}

static bool done(const struct steps *steps, const struct record_step *step)
{
	struct devices devices;
	AUTO_FREE char *rules = NULL;
	struct dropin dropin;

	(void)step;
	read_devices(steps->machine, &devices);
	rules = rules_of(&devices);
	dropin = rules_file(rules);
	return devices.count == 0 || dropin_stands(steps, &dropin);
}

/* The names themselves are the old ones again at the next boot. */
static enum reason undo(const struct steps *steps, const struct record_step *step,
			struct err *err)
{
	const struct dropin dropin = rules_file("");

	return steps_judge(dropin_take_back(steps, step, &dropin, err), err);
}

const struct steps_kind steps_rdma_names = {
	.event = "RDMA names done", .done = done, .act = act, .undo = undo
};
