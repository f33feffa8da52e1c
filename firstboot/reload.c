#include "firstboot/reload.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "cache/base/process.h"
#include "firstboot/busy.h"
#include "firstboot/detect.h"

#define BIND_MS 10000 /* how long drivers may take to take their devices again */
#define POLL_MS 20

/* Never 0: that would be no end at all. */
uint64_t reload_until_ms(uint64_t deadline_ms)
{
	return deadline_ms > RELOAD_BACK_MS ? deadline_ms - RELOAD_BACK_MS : 1;
}

void reload_free(struct reload_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		free(set->module[i].file);
	set->count = 0;
}

static bool PRINTF_LIKE(2, 3) no(char text[PLAN_TEXT_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, PLAN_TEXT_MAX, format, args);
	va_end(args);
	return false;
}

static void PRINTF_LIKE(2, 3) add(char text[PLAN_TEXT_MAX], const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, PLAN_TEXT_MAX - used, format, args);
	va_end(args);
}

/* --- what would have to go ---------------------------------------------------------------------------- */

static bool is_in(const struct reload_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->module[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Holders first: then what is added is not held by anything that stays. */
static bool add_module(const struct reload *reload, struct reload_set *set, const char *name,
		       size_t depth, char text[PLAN_TEXT_MAX])
{
	AUTO_NAMES struct fs_names holders = { 0 };

	if (is_in(set, name))
		return true;
	if (depth > RELOAD_MAX_MODULES)
		return no(text, "%s is held by too many modules", name);
	module_holders(reload->tool.machine, name, &holders);
	for (size_t i = 0; i < holders.count; i++) {
		if (!add_module(reload, set, holders.name[i], depth + 1, text))
			return false;
	}
	if (set->count == RELOAD_MAX_MODULES)
		return no(text, "too many modules would have to be unloaded");
	set->module[set->count] = (struct reload_module) { 0 };
	snprintf(set->module[set->count++].name, MODULE_NAME_SIZE, "%s", name);
	return true;
}

/* Every holder is in the set by now: whatever else counts is a use. */
static bool module_is_free(const struct reload *reload, const char *name,
			   char text[PLAN_TEXT_MAX])
{
	AUTO_NAMES struct fs_names holders = { 0 };
	long uses = module_uses(reload->tool.machine, name);

	module_holders(reload->tool.machine, name, &holders);
	if (uses < 0)
		return no(text, "the module %s cannot be unloaded", name);
	if ((size_t)uses > holders.count)
		return no(text, "the module %s is in use (%ld)", name,
			  uses - (long)holders.count);
	return true;
}

static bool add_device(struct reload_set *set, const char *bus, const char *address,
		       char text[PLAN_TEXT_MAX])
{
	struct reload_device *device = &set->device[set->device_count];

	if (set->device_count == RELOAD_MAX_DEVICES || strlen(bus) >= sizeof(device->bus) ||
	    strlen(address) >= sizeof(device->address))
		return no(text, "too many devices would lose their driver");
	snprintf(device->bus, sizeof(device->bus), "%s", bus);
	snprintf(device->address, sizeof(device->address), "%s", address);
	set->device_count++;
	return true;
}

/* The links of sys/bus/BUS/drivers/DRIVER, but for that to the module, are its devices. */
static bool add_devices(const struct reload *reload, struct reload_set *set, const char *bus,
			const char *driver, char text[PLAN_TEXT_MAX])
{
	AUTO_FREE char *path = must_printf("sys/bus/%s/drivers/%s", bus, driver);
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (machine_open_dir(reload->tool.machine, path, &dir, &none) < 0 ||
	    fs_list(dir, ".", &names, &none) < 0)
		return no(text, "the devices of the driver %s cannot be looked at", driver);
	for (size_t i = 0; i < names.count; i++) {
		char target[FS_NAME_MAX];

		fs_link_name(dir, names.name[i], target, sizeof(target));
		if (target[0] && strcmp(names.name[i], "module") != 0 &&
		    !add_device(set, bus, names.name[i], text))
			return false;
	}
	return true;
}

/* sys/module/NAME/drivers has links "BUS:DRIVER". */
static bool add_drivers(const struct reload *reload, struct reload_set *set, const char *name,
			char text[PLAN_TEXT_MAX])
{
	AUTO_FREE char *path = must_printf("sys/module/%s/drivers", name);
	AUTO_NAMES struct fs_names names = { 0 };
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (machine_open_dir(reload->tool.machine, path, &dir, &none) < 0)
		return true;
	if (fs_list(dir, ".", &names, &none) < 0)
		return no(text, "the drivers of the module %s cannot be looked at", name);
	for (size_t i = 0; i < names.count; i++) {
		char *driver = strchr(names.name[i], ':');

		if (!driver)
			return no(text, "the module %s has a driver of an unknown bus", name);
		*driver++ = '\0';
		if (!add_devices(reload, set, names.name[i], driver, text))
			return false;
	}
	return true;
}

static bool devices_are_free(const struct reload *reload, const struct reload_set *set,
			     char text[PLAN_TEXT_MAX])
{
	for (size_t i = 0; i < set->device_count; i++) {
		const struct reload_device *device = &set->device[i];
		char why[BUSY_TEXT_MAX];

		if (busy_device(reload->tool.machine, device->bus, device->address, why))
			return no(text, "%s %s is needed: %s", device->bus, device->address,
				  why);
	}
	return true;
}

/* Without the file of the build that is loaded there would be no way back. */
static bool find_files(const struct reload *reload, struct reload_set *set,
		       char text[PLAN_TEXT_MAX])
{
	for (size_t i = 0; i < set->count; i++) {
		struct reload_module *module = &set->module[i];

		module->file =
			module_loaded_file(reload->tool.machine, reload->kernel, module->name);
		if (!module->file)
			return no(text,
				  "the file of the loaded module %s was not found: it could "
				  "not be loaded again",
				  module->name);
	}
	return true;
}

bool reload_plan(const struct reload *reload, char (*names)[MODULE_NAME_SIZE], size_t count,
		 struct reload_set *out_set, char text[PLAN_TEXT_MAX])
{
	struct reload_set *set = out_set;

	for (size_t i = 0; i < count; i++) {
		if (!add_module(reload, set, names[i], 0, text))
			return false;
	}
	for (size_t i = 0; i < set->count; i++) {
		struct reload_module *module = &set->module[i];

		for (size_t j = 0; j < count; j++)
			module->asked |= strcmp(module->name, names[j]) == 0;
		if (!module_is_free(reload, module->name, text) ||
		    !add_drivers(reload, set, module->name, text))
			return false;
	}
	return devices_are_free(reload, set, text) && find_files(reload, set, text);
}

/* --- modules ------------------------------------------------------------------------------------------ */

static enum reason run_tool(const struct reload *reload, const char *program, const char *name,
			    char text[PLAN_TEXT_MAX])
{
	const char *const argv[] = { program, name, NULL };
	struct err err = { 0 };

	if (tool_must(&reload->tool, argv, &err) == 0)
		return REASON_DONE;
	add(text, "%s%s %.64s: %.200s", text[0] ? "; " : "", program, name, err.text);
	return err.kind == ERR_TIMEOUT ? REASON_TIMEOUT : REASON_PROOF_FAILED;
}

/* Once more right before: a network manager does not wait for us. Parts of other devices may be gone with their driver. */
static bool still_free(const struct reload *reload, const struct reload_set *set,
		       char text[PLAN_TEXT_MAX])
{
	for (size_t i = 0; i < set->device_count; i++) {
		const struct reload_device *device = &set->device[i];
		char why[BUSY_TEXT_MAX];

		if (strcmp(device->bus, "auxiliary") != 0 &&
		    busy_device(reload->tool.machine, device->bus, device->address, why))
			return no(text, "%s %s is needed by now: %s", device->bus,
				  device->address, why);
	}
	return true;
}

/* rmmod takes off what was looked at and nothing else; modprobe -r would go on with what is unused then. One that hangs
 * in the kernel holds the kernel's lock: nothing is tried after it. */
static enum reason unload(const struct reload *reload, const struct reload_set *set, bool look,
			  char text[PLAN_TEXT_MAX])
{
	for (size_t i = 0; i < set->count; i++) {
		enum reason reason = REASON_DONE;

		if (!module_is_loaded(reload->tool.machine, set->module[i].name))
			continue;
		if (look && !still_free(reload, set, text))
			reason = REASON_REBOOT;
		else
			reason = run_tool(reload, "rmmod", set->module[i].name, text);
		if (reason != REASON_DONE)
			return reason == REASON_TIMEOUT ? reason : REASON_REBOOT;
	}
	return REASON_DONE;
}

static enum reason load_wanted(const struct reload *reload, const char *const *wanted,
			       size_t count, char text[PLAN_TEXT_MAX])
{
	enum reason reason = REASON_DONE;

	for (size_t i = 0; i < count && reason == REASON_DONE; i++)
		reason = run_tool(reload, "modprobe", wanted[i], text);
	return reason;
}

/* What was replaced has to load again; what merely held it may not fit the new one. */
static enum reason load_rest(const struct reload *reload, const struct reload_set *set,
			     char text[PLAN_TEXT_MAX])
{
	for (size_t i = set->count; i-- > 0;) {
		const struct reload_module *module = &set->module[i];
		enum reason reason = REASON_DONE;

		if (!module_is_loaded(reload->tool.machine, module->name))
			reason = run_tool(reload, "modprobe", module->name, text);
		if (reason == REASON_TIMEOUT || (reason != REASON_DONE && module->asked))
			return reason;
	}
	return REASON_DONE;
}

static bool has_driver(const struct reload *reload, const struct reload_device *device)
{
	AUTO_FREE char *path = must_printf("sys/bus/%s/devices", device->bus);
	AUTO_FREE char *link = must_printf("%s/driver", device->address);
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	char driver[FS_NAME_MAX];

	if (machine_open_dir(reload->tool.machine, path, &dir, &none) < 0)
		return false;
	fs_link_name(dir, link, driver, sizeof(driver));
	return driver[0] != '\0';
}

/* Parts of other devices (auxiliary) come and go with the driver; what a bus has stays. */
static const struct reload_device *find_bare(const struct reload *reload,
					     const struct reload_set *set)
{
	for (size_t i = 0; i < set->device_count; i++) {
		const struct reload_device *device = &set->device[i];

		if (strcmp(device->bus, "auxiliary") != 0 && !has_driver(reload, device))
			return device;
	}
	return NULL;
}

static enum reason await_drivers(const struct reload *reload, const struct reload_set *set,
				 char text[PLAN_TEXT_MAX])
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	uint64_t end = fs_boot_ms() + BIND_MS;
	const struct reload_device *bare;

	while ((bare = find_bare(reload, set)) && fs_boot_ms() < end &&
	       !process_must_stop(reload->tool.deadline_ms))
		nanosleep(&pause, NULL);
	if (!bare)
		return REASON_DONE;
	add(text, "%s%s %s has no driver any more", text[0] ? "; " : "", bare->bus,
	    bare->address);
	return REASON_PROOF_FAILED;
}

static enum reason load_old(const struct reload *reload, const struct reload_set *set,
			    char text[PLAN_TEXT_MAX])
{
	for (size_t i = set->count; i-- > 0;) {
		const struct reload_module *module = &set->module[i];
		enum reason reason = REASON_DONE;

		if (!module_is_loaded(reload->tool.machine, module->name))
			reason = run_tool(reload, "insmod", module->file, text);
		if (reason != REASON_DONE)
			return reason;
	}
	return await_drivers(reload, set, text);
}

/* The way back is gone even if this process was told to end: a machine without its driver is worse than a late one. The
 * signal, which is held back (process.h), is taken in and sent again afterwards. */
struct way_back {
	struct reload reload;
	bool was_ending;
};

static struct way_back begin_back(const struct reload *reload)
{
	struct way_back way = { .reload = *reload };
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	way.was_ending = process_is_ending() && sigtimedwait(&set, NULL, &now) == SIGTERM;
	way.reload.tool.deadline_ms = fs_boot_ms() + RELOAD_BACK_MS;
	return way;
}

static void end_back(const struct way_back *way)
{
	if (way->was_ending)
		kill(getpid(), SIGTERM);
}

void reload_back(const struct reload *reload, const struct reload_set *set,
		 char text[PLAN_TEXT_MAX])
{
	const struct way_back way = begin_back(reload);

	if (unload(&way.reload, set, false, text) == REASON_DONE &&
	    load_old(&way.reload, set, text) == REASON_DONE)
		add(text, "; the old one is loaded again");
	else
		add(text, "; the old one could not be loaded again");
	end_back(&way);
}

/* Some of it is gone, the rest stays: what is gone comes again. */
static void stay(const struct reload *reload, const struct reload_set *set,
		 char text[PLAN_TEXT_MAX])
{
	const struct way_back way = begin_back(reload);

	if (load_old(&way.reload, set, text) == REASON_DONE)
		add(text, "; the old one stays");
	end_back(&way);
}

enum reason reload_modules(const struct reload *reload, const struct reload_set *set,
			   const char *const *wanted, size_t wanted_count,
			   char text[PLAN_TEXT_MAX])
{
	enum reason reason;

	text[0] = '\0';
	reason = unload(reload, set, true, text);
	if (reason == REASON_TIMEOUT && !process_must_stop(reload->tool.deadline_ms))
		return reason; /* it hangs */
	if (reason != REASON_DONE) {
		stay(reload, set, text);
		return reason;
	}
	reason = load_wanted(reload, wanted, wanted_count, text);
	if (reason == REASON_DONE)
		reason = load_rest(reload, set, text);
	if (reason == REASON_DONE)
		reason = await_drivers(reload, set, text);
	if (reason != REASON_DONE)
		reload_back(reload, set, text);
	return reason;
}

/* --- one device --------------------------------------------------------------------------------------- */

/* Writes the address into bind or unbind of a driver. The kernel may keep the writer as long as the driver likes: it is
 * another process, which can be left behind. */
static enum reason tell_driver(const struct reload *reload, const struct facts_device *device,
			       const char *driver, const char *what, char text[PLAN_TEXT_MAX])
{
	AUTO_FREE char *path =
		must_printf("/sys/bus/%s/drivers/%s/%s", device->bus, driver, what);
	const char *const argv[] = { "tee", path, NULL };
	struct tool tool = reload->tool;
	struct err err = { 0 };

	tool.input = device->address;
	if (tool_must(&tool, argv, &err) == 0)
		return REASON_DONE;
	add(text, "%s%s %.64s: %.200s", text[0] ? "; " : "", what, driver, err.text);
	return err.kind == ERR_TIMEOUT ? REASON_TIMEOUT : REASON_PROOF_FAILED;
}

static bool is_bound_to(const struct reload *reload, struct facts_device device,
			const char *driver)
{
	detect_refresh(reload->tool.machine, &device);
	return strcmp(device.driver, driver) == 0;
}

static bool may_give(const struct reload *reload, const struct facts_device *device,
		     const char *driver, char text[PLAN_TEXT_MAX])
{
	AUTO_FREE char *path =
		must_printf("sys/bus/%s/drivers/%s", device->bus, device->driver);
	AUTO_FREE char *wanted = must_printf("sys/bus/%s/drivers/%s", device->bus, driver);
	char name[MODULE_NAME_SIZE], why[BUSY_TEXT_MAX];
	AUTO_CLOSE int dir = -1, to = -1;
	struct err none = { 0 };

	if (machine_open_dir(reload->tool.machine, wanted, &to, &none) < 0)
		return no(text, "the driver %s is not there", driver);
	if (machine_open_dir(reload->tool.machine, path, &dir, &none) < 0)
		return no(text, "its driver %s cannot be looked at", device->driver);
	fs_link_name(dir, "module", name, sizeof(name));
	if (name[0] && module_uses(reload->tool.machine, name) >= 0 &&
	    !module_is_free(reload, name, text))
		return false;
	if (busy_device(reload->tool.machine, device->bus, device->address, why))
		return no(text, "%s is needed: %s", device->address, why);
	return true;
}

static void give_back(const struct reload *reload, const struct facts_device *device,
		      char text[PLAN_TEXT_MAX])
{
	const struct way_back way = begin_back(reload);

	if (is_bound_to(reload, *device, device->driver) ||
	    tell_driver(&way.reload, device, device->driver, "bind", text) == REASON_DONE)
		add(text, "; %s has it again", device->driver);
	end_back(&way);
}

enum reason reload_driver(const struct reload *reload, const struct facts_device *device,
			  const char *driver, char text[PLAN_TEXT_MAX])
{
	enum reason reason;

	text[0] = '\0';
	if (!may_give(reload, device, driver, text))
		return REASON_REBOOT;
	reason = tell_driver(reload, device, device->driver, "unbind", text);
	if (reason == REASON_DONE && !is_bound_to(reload, *device, driver))
		reason = tell_driver(reload, device, driver, "bind", text);
	if (reason == REASON_DONE && is_bound_to(reload, *device, driver))
		return REASON_DONE;
	if (reason == REASON_DONE)
		add(text, "%s did not take it", driver);
	give_back(reload, device, text);
	return reason == REASON_TIMEOUT ? reason : REASON_PROOF_FAILED;
}
