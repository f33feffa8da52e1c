/* identity.h - which machine this is, and which of its boots. */
#ifndef LARDER_IDENTITY_H
#define LARDER_IDENTITY_H

#include "cache/digest.h"
#include "firstboot/machine.h"

struct identity {
	struct digest machine; /* of the machine id */
	struct digest boot; /* of this boot's id */
};

/* What cannot be read has the digest of nothing. */
void identity_read(const struct machine *machine, struct identity *out);

#endif
