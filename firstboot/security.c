#include "firstboot/security.h"

#define SECURE_BOOT_VARIABLE                                                                   \
	"sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static enum loadable_switch read_secure_boot(const struct machine *machine)
{
	AUTO_CLOSE int firmware = -1, efi = -1;
	AUTO_FREE char *data = NULL;
	struct err none = { 0 };
	size_t size;

	if (machine_read(machine, SECURE_BOOT_VARIABLE, 64, &data, &size, &none) == 0)
		return loadable_secure_boot(data, size);
	/* Without EFI there is no Secure Boot. */
	if (machine_open_dir(machine, "sys/firmware", &firmware, &none) == 0 &&
	    machine_open_dir(machine, "sys/firmware/efi", &efi, &none) < 0 &&
	    none.kind == ERR_MISSING)
		return LOADABLE_OFF;
	return LOADABLE_UNKNOWN;
}

void security_read(const struct machine *machine, struct loadable_security *out)
{
	char text[128];

	out->secure_boot = read_secure_boot(machine);
	machine_attribute(machine, "sys/kernel/security/lockdown", text, sizeof(text));
	out->lockdown = loadable_lockdown(text);
	machine_attribute(machine, "sys/module/module/parameters/sig_enforce", text,
			  sizeof(text));
	out->sig_enforce = loadable_flag(text);
}
