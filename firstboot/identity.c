#include "firstboot/identity.h"

#include <string.h>

#define ID_MAX 64

static void digest_id(const struct machine *machine, const char *path, struct digest *out)
{
	char text[ID_MAX];

	machine_attribute(machine, path, text, sizeof(text));
	digest_of(text, strlen(text), out);
}

void identity_read(const struct machine *machine, struct identity *out)
{
	digest_id(machine, "/etc/machine-id", &out->machine);
	digest_id(machine, "/proc/sys/kernel/random/boot_id", &out->boot);
}
